GRANT SELECT, INSERT ON audit_nodes, audit_anchors, audit_epochs, audit_words TO {role};
GRANT SELECT, INSERT, DELETE ON audit_private TO {role};
GRANT SELECT, UPDATE (seq) ON audit_indexed TO {role};
