-- A setting may change what a credential is worth, so what is known of callers is read again.
CREATE TRIGGER settings_epoch_insert AFTER INSERT ON settings
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER settings_epoch_update AFTER UPDATE ON settings
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;

CREATE TRIGGER settings_epoch_delete AFTER DELETE ON settings
BEGIN UPDATE identity_epoch SET epoch = epoch + 1; END;
