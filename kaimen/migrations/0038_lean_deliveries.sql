-- A delivery has one index, an outbox row none for the token it has not: each costs a write for every message sent.

ALTER TABLE deliveries DROP COLUMN id;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_outbox_id_attempt_key;
ALTER TABLE deliveries ADD PRIMARY KEY (outbox_id, attempt);

ALTER TABLE outbox DROP CONSTRAINT outbox_token_key;
CREATE UNIQUE INDEX outbox_token ON outbox (token) WHERE token IS NOT NULL;
