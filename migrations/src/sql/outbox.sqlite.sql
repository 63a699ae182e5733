-- A notice says what it said, and begins as one that waits. What was sent stays sent; what waits is not deleted.
CREATE TRIGGER outbox_begins_waiting BEFORE INSERT ON outbox
WHEN NEW.state <> 'waiting' OR EXISTS (SELECT 1 FROM outbox WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'a notice begins as one that waits'); END;

CREATE TRIGGER outbox_says_the_same BEFORE UPDATE ON outbox
WHEN NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.data <> OLD.data OR NEW.created_at <> OLD.created_at
BEGIN SELECT RAISE(ABORT, 'what a notice says is never changed'); END;

CREATE TRIGGER outbox_states BEFORE UPDATE ON outbox
WHEN OLD.state = 'sent' OR (OLD.state <> 'waiting' AND NEW.state <> 'waiting')
BEGIN SELECT RAISE(ABORT, 'a notice cannot go from its state to that one'); END;

CREATE TRIGGER outbox_waiting_stays BEFORE DELETE ON outbox
WHEN OLD.state = 'waiting'
BEGIN SELECT RAISE(ABORT, 'a notice that waits is not deleted'); END;
