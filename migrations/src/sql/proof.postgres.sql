-- The words of each record, made by the program, so that no text is parsed here.
CREATE TABLE audit_words (seq bigint NOT NULL PRIMARY KEY, words tsvector NOT NULL);
CREATE INDEX audit_words_by_word ON audit_words USING gin (words);
INSERT INTO audit_indexed (id, seq) VALUES (1, 0);

CREATE TRIGGER audit_nodes_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_nodes
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_anchors_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_anchors
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_epochs_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_epochs
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
-- Deleting one is an erasure.
CREATE TRIGGER audit_private_no_change BEFORE UPDATE OR TRUNCATE ON audit_private
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- Also when replication replays statements.
ALTER TABLE audit_nodes ENABLE ALWAYS TRIGGER audit_nodes_no_change;
ALTER TABLE audit_anchors ENABLE ALWAYS TRIGGER audit_anchors_no_change;
ALTER TABLE audit_epochs ENABLE ALWAYS TRIGGER audit_epochs_no_change;
ALTER TABLE audit_private ENABLE ALWAYS TRIGGER audit_private_no_change;

REVOKE UPDATE, DELETE, TRUNCATE ON audit_nodes, audit_anchors, audit_epochs FROM PUBLIC, CURRENT_USER;
REVOKE UPDATE, TRUNCATE ON audit_private FROM PUBLIC, CURRENT_USER;
