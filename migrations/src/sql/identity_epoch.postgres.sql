-- One number that changes whenever a credential or a person might mean something else. It lets a
-- process keep what it knows of a caller and still notice a revocation with the next request. New
-- rows change nothing that is known; times of last use and last sign-in are not part of who somebody is.
CREATE TABLE identity_epoch (id BIGINT PRIMARY KEY CHECK (id = 1), epoch BIGINT NOT NULL);
INSERT INTO identity_epoch (id, epoch) VALUES (1, 1);

CREATE FUNCTION identity_epoch_next() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE identity_epoch SET epoch = epoch + 1;
    RETURN NULL;
END $$;

-- Once for a statement, however many rows it changed, and not at all when it changed none.
CREATE FUNCTION identity_epoch_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT to_jsonb(n) - 'last_used_at' FROM new_rows n
               EXCEPT SELECT to_jsonb(o) - 'last_used_at' FROM old_rows o) THEN
        UPDATE identity_epoch SET epoch = epoch + 1;
    END IF;
    RETURN NULL;
END $$;

-- Nobody is taken for somebody by a credential that was dead already. The day is for clocks that differ.
CREATE FUNCTION identity_epoch_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM old_rows WHERE revoked_at IS NULL AND expires_at > now() - interval '1 day') THEN
        UPDATE identity_epoch SET epoch = epoch + 1;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER users_epoch_update
AFTER UPDATE OF id, email, name, roles, groups, issuer, subject, locked_at, locked_reason, locked_by, version,
created_at, created_by ON users
FOR EACH ROW EXECUTE FUNCTION identity_epoch_next();
CREATE TRIGGER users_epoch_delete AFTER DELETE ON users
FOR EACH ROW EXECUTE FUNCTION identity_epoch_next();
CREATE TRIGGER users_epoch_truncate AFTER TRUNCATE ON users
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_next();

CREATE TRIGGER credentials_epoch_update AFTER UPDATE ON credentials
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_changed();
CREATE TRIGGER credentials_epoch_delete AFTER DELETE ON credentials
REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_deleted();
CREATE TRIGGER credentials_epoch_truncate AFTER TRUNCATE ON credentials
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_next();
