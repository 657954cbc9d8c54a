-- The monthly test of a telephone of the staff is a call like any other; it belongs to no case.
ALTER TABLE calls DROP CONSTRAINT calls_audience_check;
ALTER TABLE calls ADD CONSTRAINT calls_audience_check CHECK (audience IN ('elder', 'family', 'staff', 'test'));
