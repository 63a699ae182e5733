GRANT SELECT, INSERT, UPDATE, DELETE ON factors, backup_codes, trusted_devices, challenges, notices TO {role};
