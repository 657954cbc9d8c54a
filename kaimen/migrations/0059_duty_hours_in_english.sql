-- When the duty line is answered, for who reads the pages in English; empty: the office's own words are shown.
ALTER TABLE duty_lines ADD COLUMN hours_en text CHECK (length(hours_en) BETWEEN 1 AND 40);
