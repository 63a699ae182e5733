//! Commands, frame by frame.

use rack_gateway::dev::rack::{EXIT_SENTINEL, RackServer};

use super::client::{Socket, basic, call, form, get, rack};

const EXEC: &str = "/apps/myapp/processes/web/exec";

fn exec(rack: &RackServer, command: &str, input: &[&str]) -> Vec<String> {
    let mut socket = Socket::open(rack, EXEC, &[("Command", command), ("Tty", "false")]);
    input.iter().for_each(|input| socket.text(input));
    socket.end();
    socket.rest()
}

fn exit(code: i32) -> String {
    format!("{EXIT_SENTINEL}:{code}\n")
}

#[test]
fn commands_print_and_exit() {
    let rack = rack();
    for (command, input, output, code) in [
        ("echo one-off", &[][..], "one-off\n", 0),
        ("echo a b  'c  d'", &[], "a b c  d\n", 0),
        ("echo $GREETING", &[], "$GREETING\n", 0),
        ("echo a; echo b", &[], "a; echo b\n", 0),
        ("false", &[], "", 1),
        ("exit 3", &[], "", 3),
        ("cat", &["from stdin\n", "line 2\n"], "from stdin\nline 2\n", 0),
        ("cat tmp/hello.txt", &[], "hello file\n", 0),
        ("cat /nosuch", &[], "cat: /nosuch: No such file or directory\n", 1),
        ("curl http://example.test", &[], "sh: curl: not found\n", 127),
        ("sleep 0", &[], "", 0),
        ("sleep", &[], "usage: sleep SECONDS\n", 2),
        ("stty size", &[], "stty: standard input: Inappropriate ioctl for device\n", 1),
        ("env GREETING", &[], "hello\n", 0),
        ("whoami", &[], "root\n", 0),
        ("echo 'open", &[], "sh: syntax error\n", 2),
        ("sh -c 'cat; exit 7'", &["in\n"], "in\n", 7),
        ("sh -c 'echo $GREETING, ${GREETING}! $?'", &[], "hello, hello! 0\n", 0),
        ("sh -c 'false || echo or; true && echo and; false && echo no'", &[], "or\nand\n", 1),
        ("sh -c 'sh -c \"exit 4\"; echo $?'", &[], "4\n", 0),
        ("sh -c 'X=1; read a; read b; echo $b $a $X'", &["1st\n2nd\n"], "2nd 1st 1\n", 0),
        ("sh -c 'echo abc | tr a-c x-z | cat'", &[], "xyz\n", 0),
        ("sh -c 'head -c 70000 /dev/zero | wc -c'", &[], "70000\n", 0),
        ("sh -c 'head -c 3'", &["abcdef"], "abc", 0),
        ("sh -c 'echo one > /tmp/f; echo two >> /tmp/f; cat /tmp/f; ls /tmp'", &[], "one\ntwo\nf\nhello.txt\n", 0),
        ("sh -c 'echo a |'", &[], "sh: syntax error\n", 2),
        ("sh", &["echo hi\nexit 5\necho no\n"], "hi\n", 5),
        ("bash", &["false\n"], "", 1),
    ] {
        let mut frames = exec(&rack, command, input);
        assert_eq!(frames.pop(), Some(exit(code)), "{command}");
        assert_eq!(frames.concat(), output, "{command}");
    }
}

#[test]
fn the_environment_has_the_release_and_the_resources() {
    let env = exec(&rack(), "env", &[]).concat();
    for line in [
        "GREETING=hello",
        "SECRET_KEY=made-up-s3cr3t",
        "APP=myapp",
        "SERVICE=web",
        "DATABASE_URL=postgres://app:made-up-password@resource-database.dev-myapp.svc.cluster.local:5432/app",
    ] {
        assert!(env.lines().any(|l| l == line), "{line} in {env}");
    }
}

#[test]
fn text_frames_carry_any_bytes_and_long_messages_are_fragmented() {
    let rack = rack();
    let mut socket = Socket::open(&rack, EXEC, &[("Command", "printf 'a\\xff\\x00b'"), ("Tty", "false")]);
    assert_eq!(socket.frame(), (true, 1, b"a\xff\0b".to_vec()));

    let command = "sh -c \"head -c 50000 /dev/zero | tr '\\\\0' x\"";
    let mut socket = Socket::open(&rack, EXEC, &[("Command", command), ("Tty", "false")]);
    let mut lengths = Vec::new();
    loop {
        let (fin, opcode, payload) = socket.frame();
        assert!(payload.iter().all(|&b| b == b'x') || payload.starts_with(EXIT_SENTINEL.as_bytes()));
        lengths.push((fin, opcode, payload.len()));
        if opcode == 2 {
            break;
        }
    }
    // 32 KiB of the copy loop unbuffered, 17232 bytes through a buffer of 10 KiB.
    let sentinel = exit(0).len();
    let expected =
        [(false, 1, 32768), (true, 0, 0), (false, 1, 10240), (true, 0, 6992), (true, 1, sentinel), (true, 2, 0)];
    assert_eq!(lengths, expected);
}

#[test]
fn a_terminal_echoes_prompts_and_knows_its_size() {
    let rack = rack();
    let headers = [("Command", "sh"), ("Height", "40"), ("Width", "120")];
    let mut socket = Socket::open(&rack, EXEC, &headers);
    assert_eq!(socket.message(), "# ");
    for (typed, expected) in [
        ("stty size\n", &["stty size\r\n", "40 120\r\n", "# "][..]),
        ("echo $GREETING\r", &["echo $GREETING\r\n", "hello\r\n", "# "]),
        ("ec\x7f\x7ftrue\r", &["ec\x08 \x08\x08 \x08true\r\n", "# "]),
        ("half\x03", &["half^C\r\n", "# "]),
        ("exit 3\n", &["exit 3\r\n", "F1E49A85-0AD7-4AEF-A618-C249C6E6568D:3\n"]),
    ] {
        socket.text(typed);
        for message in expected {
            assert_eq!(socket.message(), *message, "after {typed:?}");
        }
    }
    assert_eq!(socket.frame(), (true, 2, Vec::new()));

    let mut socket = Socket::open(&rack, EXEC, &[("Command", "bash -c \"read x; echo got $x; stty size\"")]);
    socket.text("typed\n");
    assert_eq!(socket.rest(), ["typed\r\n", "got typed\r\n", "24 80\r\n", &exit(0)]);
    // End of file from the keyboard.
    let mut socket = Socket::open(&rack, EXEC, &[("Command", "cat")]);
    socket.text("\x04");
    assert_eq!(socket.rest(), [exit(0)]);
}

#[test]
fn without_standard_input_a_command_reads_nothing() {
    let headers = [("Command", "cat"), ("Tty", "false"), ("Disable-Stdin", "true")];
    assert_eq!(Socket::open(&rack(), EXEC, &headers).rest(), [exit(0)]);
}

#[test]
fn an_unknown_process_exits_with_zero_before_the_error() {
    let rack = rack();
    for (path, expected) in [
        ("/apps/myapp/processes/nosuch/exec", &[exit(0).as_str(), "ERROR: process not found: nosuch\n"][..]),
        ("/apps/nosuch/processes/web/exec", &["ERROR: app not found: nosuch\n"]),
        ("/instances/nosuch/shell", &[&exit(0), "ERROR: instance not found: nosuch\n"]),
    ] {
        assert_eq!(Socket::open(&rack, path, &[("Command", "ls")]).rest(), expected, "{path}");
    }
}

#[test]
fn a_process_is_found_by_its_id_and_by_its_service() {
    let rack = rack();
    let processes = get(&rack, "/apps/myapp/processes?service=worker").json();
    let id = processes[0]["id"].as_str().unwrap();
    for pid in ["worker", id] {
        let path = format!("/apps/myapp/processes/{pid}/exec");
        let frames = Socket::open(&rack, &path, &[("Command", "hostname"), ("Tty", "false")]).rest();
        assert_eq!(frames, [format!("{id}\n"), exit(0)]);
    }
}

#[test]
fn an_instance_has_a_shell() {
    let rack = rack();
    let mut socket = Socket::open(&rack, "/instances/ip-10-0-0-1/shell", &[("Height", "10"), ("Width", "20")]);
    assert_eq!(socket.message(), "# ");
    socket.text("hostname; exit 2\n");
    assert_eq!(socket.rest(), ["hostname; exit 2\r\n", "ip-10-0-0-1\r\n", &exit(2)]);
}

#[test]
fn writing_sockets_want_more_than_a_read_token() {
    let rack = rack();
    let mint = |role: &str| {
        let answer = form(&rack, "POST", "/system/jwt/token", &format!("durationInHour=1&role={role}"));
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    let (read, write) = (basic("jwt", &mint("read")), basic("jwt", &mint("write")));
    for (path, what) in [
        (EXEC, "process exec"),
        ("/instances/ip-10-0-0-1/shell", "instance shell"),
        ("/apps/myapp/resources/database/console", "resource console"),
        ("/proxy/db.internal/5432", "proxy"),
    ] {
        let frames = Socket::open(&rack, path, &[("Authorization", &read), ("Command", "echo hi")]).rest();
        assert_eq!(frames, [format!("ERROR: {what} requires write access\n")], "{path}");
    }
    let headers = [("Authorization", write.as_str()), ("Command", "echo hi"), ("Tty", "false")];
    assert_eq!(Socket::open(&rack, EXEC, &headers).rest(), ["hi\n", &exit(0)]);

    let restart = "/apps/myapp/services/web/restart";
    let denied = call(&rack, "POST", restart, &[("Authorization", &read)], b"");
    assert_eq!((denied.status, denied.text().as_str()), (401, "you are unauthorized to access this\n"));
    let denied = call(&rack, "PUT", "/system/jwt/rotate", &[("Authorization", &write)], b"");
    assert_eq!((denied.status, denied.text().as_str()), (403, "admin role required\n"));
    assert_eq!(call(&rack, "PUT", "/system/jwt/rotate", &[], b"").status, 200);
    assert_eq!(call(&rack, "GET", "/apps", &[("Authorization", &read)], b"").status, 401, "rotated");
}
