-- What a session has shown, and what is known of its person: part of who a caller is, so the identity epoch
-- rises with it. The trigger on credentials compares whole rows.
ALTER TABLE users ADD COLUMN enrolled_at timestamp with time zone;
ALTER TABLE users ADD COLUMN preferred_method text COLLATE "C"
CHECK (preferred_method IN ('webauthn', 'totp', 'yubico'));

ALTER TABLE credentials ADD COLUMN factor_at timestamp with time zone
CHECK (factor_at IS NULL OR kind IN ('web', 'cli'));
ALTER TABLE credentials ADD COLUMN factor_method text COLLATE "C"
CHECK ((factor_at IS NULL) = (factor_method IS NULL))
CHECK (factor_method IN ('webauthn', 'totp', 'yubico', 'backup'));
ALTER TABLE credentials ADD COLUMN factor_strong boolean NOT NULL DEFAULT FALSE
CHECK (factor_at IS NOT NULL OR NOT factor_strong);
-- Without the device, a session that began on it has shown nothing.
ALTER TABLE credentials ADD COLUMN device_id text COLLATE "C" CHECK (device_id IS NULL OR kind IN ('web', 'cli'))
REFERENCES trusted_devices (id) ON DELETE SET NULL;
CREATE INDEX credentials_by_device ON credentials (device_id) WHERE device_id IS NOT NULL;

ALTER TABLE cli_logins ADD COLUMN factor_at timestamp with time zone CHECK (factor_at IS NULL OR approved);
ALTER TABLE cli_logins ADD COLUMN factor_method text COLLATE "C"
CHECK ((factor_at IS NULL) = (factor_method IS NULL))
CHECK (factor_method IN ('webauthn', 'totp', 'yubico', 'backup'));
ALTER TABLE cli_logins ADD COLUMN factor_strong boolean NOT NULL DEFAULT FALSE
CHECK (factor_at IS NOT NULL OR NOT factor_strong);

DROP TRIGGER users_epoch_update ON users;
CREATE TRIGGER users_epoch_update
AFTER UPDATE OF id, email, name, roles, groups, issuer, subject, locked_at, locked_reason, locked_by, version,
created_at, created_by, enrolled_at, preferred_method ON users
FOR EACH ROW EXECUTE FUNCTION identity_epoch_next();

-- However a factor goes, its sealed secret goes with it.
CREATE FUNCTION factors_secret_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM secrets WHERE purpose = 'totp' AND id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER factors_secret AFTER DELETE ON factors
FOR EACH ROW EXECUTE FUNCTION factors_secret_deleted();
