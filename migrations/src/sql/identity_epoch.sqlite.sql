-- One number that changes whenever a credential or a person might mean something else. It lets a
-- process keep what it knows of a caller and still notice a revocation with the next request. New
-- rows change nothing that is known; the time of last use is not part of who somebody is.
CREATE TABLE identity_epoch (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL);
INSERT INTO identity_epoch (id, epoch) VALUES (1, 1);

CREATE TRIGGER users_epoch_update AFTER UPDATE ON users
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER users_epoch_delete AFTER DELETE ON users
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER tokens_epoch_update
AFTER UPDATE OF id, kind, name, user_id, roles, secret_hash, expires_at, revoked_at ON tokens
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER tokens_epoch_delete AFTER DELETE ON tokens
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;
