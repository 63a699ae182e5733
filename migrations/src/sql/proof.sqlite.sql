-- The words of each record, made by the program; `ascii` takes them as they are. Only the index is kept.
CREATE VIRTUAL TABLE audit_words USING fts5 (
    words, content = '', columnsize = 0, detail = none, tokenize = 'ascii tokenchars ''_'''
);
INSERT INTO audit_indexed (id, seq) VALUES (1, 0);

CREATE TRIGGER audit_nodes_no_update BEFORE UPDATE ON audit_nodes
BEGIN SELECT RAISE(ABORT, 'audit_nodes is append-only'); END;
CREATE TRIGGER audit_nodes_no_delete BEFORE DELETE ON audit_nodes
BEGIN SELECT RAISE(ABORT, 'audit_nodes is append-only'); END;
-- INSERT OR REPLACE deletes without firing a delete trigger. Adding the same node again is fine.
CREATE TRIGGER audit_nodes_no_replace BEFORE INSERT ON audit_nodes
WHEN EXISTS (SELECT 1 FROM audit_nodes WHERE level = NEW.level AND idx = NEW.idx AND hash <> NEW.hash)
BEGIN SELECT RAISE(ABORT, 'audit_nodes is append-only'); END;

CREATE TRIGGER audit_anchors_no_update BEFORE UPDATE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'audit_anchors is append-only'); END;
CREATE TRIGGER audit_anchors_no_delete BEFORE DELETE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'audit_anchors is append-only'); END;
CREATE TRIGGER audit_anchors_no_replace BEFORE INSERT ON audit_anchors
WHEN EXISTS (SELECT 1 FROM audit_anchors WHERE epoch = NEW.epoch AND number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'audit_anchors is append-only'); END;

CREATE TRIGGER audit_epochs_no_update BEFORE UPDATE ON audit_epochs
BEGIN SELECT RAISE(ABORT, 'audit_epochs is append-only'); END;
CREATE TRIGGER audit_epochs_no_delete BEFORE DELETE ON audit_epochs
BEGIN SELECT RAISE(ABORT, 'audit_epochs is append-only'); END;
CREATE TRIGGER audit_epochs_no_replace BEFORE INSERT ON audit_epochs
WHEN EXISTS (SELECT 1 FROM audit_epochs WHERE number = NEW.number)
BEGIN SELECT RAISE(ABORT, 'audit_epochs is append-only'); END;

-- Deleting one is an erasure.
CREATE TRIGGER audit_private_no_update BEFORE UPDATE ON audit_private
BEGIN SELECT RAISE(ABORT, 'audit_private is never changed'); END;
CREATE TRIGGER audit_private_no_replace BEFORE INSERT ON audit_private
WHEN EXISTS (SELECT 1 FROM audit_private WHERE seq = NEW.seq AND name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'audit_private is never changed'); END;
