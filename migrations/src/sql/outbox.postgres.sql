-- A notice says what it said, and begins as one that waits. What was sent stays sent; what waits is not deleted.
CREATE FUNCTION outbox_keep() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NEW.state <> 'waiting' THEN
      RAISE EXCEPTION 'a notice begins as one that waits' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' THEN
    IF OLD.state = 'waiting' THEN
      RAISE EXCEPTION 'a notice that waits is not deleted' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN OLD;
  END IF;
  IF NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.data <> OLD.data OR NEW.created_at <> OLD.created_at THEN
    RAISE EXCEPTION 'what a notice says is never changed' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF OLD.state = 'sent' OR (OLD.state <> 'waiting' AND NEW.state <> 'waiting') THEN
    RAISE EXCEPTION 'a notice cannot go from its state to that one' USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER outbox_keep BEFORE INSERT OR UPDATE OR DELETE ON outbox
FOR EACH ROW EXECUTE FUNCTION outbox_keep();
CREATE TRIGGER outbox_no_truncate BEFORE TRUNCATE ON outbox
FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
