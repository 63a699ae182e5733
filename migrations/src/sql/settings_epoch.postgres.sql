-- A setting may change what a credential is worth, so what is known of callers is read again.
CREATE TRIGGER settings_epoch AFTER INSERT OR UPDATE OR DELETE ON settings
FOR EACH ROW EXECUTE FUNCTION identity_epoch_next();
CREATE TRIGGER settings_epoch_truncate AFTER TRUNCATE ON settings
FOR EACH STATEMENT EXECUTE FUNCTION identity_epoch_next();
