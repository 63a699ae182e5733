-- One number that changes whenever a credential or a person might mean something else. It lets a
-- process keep what it knows of a caller and still notice a revocation with the next request. New
-- rows change nothing that is known; the time of last use is not part of who somebody is.
CREATE TABLE identity_epoch (id BIGINT PRIMARY KEY CHECK (id = 1), epoch BIGINT NOT NULL);
INSERT INTO identity_epoch (id, epoch) VALUES (1, 1);

CREATE FUNCTION identity_epoch_next() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE identity_epoch SET epoch = epoch + 1;
    RETURN NULL;
END $$;

CREATE TRIGGER users_epoch AFTER UPDATE OR DELETE OR TRUNCATE ON users
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_next();

CREATE TRIGGER tokens_epoch_update
AFTER UPDATE OF id, kind, name, user_id, roles, secret_hash, expires_at, revoked_at ON tokens
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_next();

CREATE TRIGGER tokens_epoch_delete AFTER DELETE OR TRUNCATE ON tokens
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_next();
