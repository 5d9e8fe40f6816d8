//! Who may ask for what.

use crate::site::{Site, serve};

const TOKEN: &str = "a-token-of-some-length";

#[tokio::test]
async fn only_localhost_addresses_and_named_hosts_are_answered() {
    let (site, _placed) = Site::new(&["--host", "queues.example.org"]).await;
    let status = |path: &str, host: &str| {
        site.send(&format!("GET {path} HTTP/1.0\r\nHost: {host}"), "").status
    };
    for path in ["/", "/main.js", "/api/overview", "/api/events", "/healthz", "/metrics"] {
        assert_eq!(status(path, "evil.example"), 421, "{path}");
        assert_eq!(status(path, "localhost.evil.example:80"), 421, "{path}");
    }
    for host in ["localhost", "localhost:9", "127.0.0.1:9", "[::1]", "queues.example.org:443"] {
        assert_eq!(status("/api/overview", host), 200, "{host}");
    }
    assert_eq!(site.send("GET /api/overview HTTP/1.0", "").status, 421);
}

#[tokio::test]
async fn an_action_from_elsewhere_is_refused_and_changes_nothing() {
    let (site, _placed) = Site::new(&[]).await;
    let [host, origin] = site.ours();
    let path = site.path("/pause");
    let refused: [&[&str]; 5] = [
        &[&host, "Origin: http://evil.example", "X-Redeliver: 1"],
        &[&host, "Origin: null", "X-Redeliver: 1"],
        &[&host, "X-Redeliver: 1"],
        &[&host, &origin],
        &["Host: evil.example", "Origin: http://evil.example", "X-Redeliver: 1"],
    ];
    for headers in refused {
        let answer = site.post_with(&path, headers, "{}");
        assert!([403, 421].contains(&answer.status), "{headers:?} {answer:?}");
    }
    assert!(!site.queue.counts().await.paused);
    assert_eq!(site.post(&path, "{}").status, 200);
    assert!(site.queue.counts().await.paused);
}

#[tokio::test]
async fn nothing_is_changed_by_get_or_by_a_form() {
    let (site, placed) = Site::new(&[]).await;
    let [host, origin] = site.ours();
    let actions = ["/pause", "/resume", "/dead/redrive", "/redrive/pause", "/dead/purge"];
    for path in actions.map(|action| site.path(action)) {
        assert_eq!(site.get(&path).status, 405, "{path}");
    }
    assert_eq!(site.get("/api/purges/1/cancel").status, 405);
    let message = site.path(&format!("/messages/{}", placed.dead));
    let head = format!(
        "POST {message} HTTP/1.0\r\n{host}\r\n{origin}\r\nX-Redeliver: 1\r\n\
         Content-Type: application/x-www-form-urlencoded"
    );
    assert_eq!(site.send(&head, "action=purge").status, 415);
    for method in ["PUT", "DELETE", "PATCH"] {
        let head = format!("{method} {message} HTTP/1.0\r\n{host}\r\n{origin}\r\nX-Redeliver: 1");
        assert_eq!(site.send(&head, "").status, 405, "{method}");
    }
    assert_eq!(site.queue.states().await, [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_read_only_server_shows_everything_and_does_nothing() {
    let (site, placed) = Site::new(&["--read-only"]).await;
    assert_eq!(site.get("/api/overview").json()["read_only"], true);
    let message = site.path(&format!("/messages/{}", placed.dead));
    assert_eq!(site.get(&message).status, 200);
    for (path, body) in [
        (site.path("/pause"), "{}"),
        (site.path("/resume"), "{}"),
        (site.path("/dead/redrive"), r#"{"all":true}"#),
        (site.path("/dead/purge"), r#"{"all":true}"#),
        (message, r#"{"action":"purge"}"#),
        ("/api/tasks/1/cancel".to_owned(), "{}"),
    ] {
        let answer = site.post(&path, body);
        assert_eq!(answer.status, 403, "{path} {answer:?}");
        assert!(answer.body.contains("read-only"));
    }
    assert_eq!(site.queue.states().await, [1, 1, 1, 1]);
}

/// Serves with a token, from a file.
async fn guarded() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    Site::new(&["--token-file", file.to_str().unwrap()]).await.0
}

#[tokio::test]
async fn without_the_token_there_is_only_an_empty_page() {
    let site = guarded().await;
    for path in ["/", "/main.js", "/healthz", "/readyz"] {
        assert_eq!(site.get(path).status, 200, "{path}");
    }
    let name = site.queue.queue.name().to_string();
    let closed = ["/api/overview", "/api/sparks", "/api/events", "/metrics"].map(str::to_owned);
    for path in closed.into_iter().chain([site.path("/messages?state=ready"), site.path("/pause")])
    {
        for headers in [&[][..], &["Authorization: Bearer a-token-of-some-lengtH"]] {
            let answer = site.get_with(&path, headers);
            assert_eq!(answer.status, 401, "{path}");
            assert!(!answer.body.contains(&name));
        }
    }
    assert_eq!(site.post(&site.path("/pause"), "{}").status, 401);
    assert!(!site.queue.counts().await.paused);
}

#[tokio::test]
async fn a_bearer_may_look_and_act_without_an_origin() {
    let site = guarded().await;
    let [host, origin] = site.ours();
    let bearer = format!("Authorization: Bearer {TOKEN}");
    assert_eq!(site.get_with("/metrics", &[&bearer]).status, 200);
    let path = site.path("/pause");
    assert_eq!(site.post_with(&path, &[&host, &bearer], "{}").status, 403);
    let evil = "Origin: http://evil.example";
    let from_evil = [&host, &bearer, evil, "X-Redeliver: 1"];
    assert_eq!(site.post_with(&path, &from_evil, "{}").status, 403);
    assert_eq!(site.post_with(&path, &[&host, &bearer, "X-Redeliver: 1"], "{}").status, 200);
    assert!(site.queue.counts().await.paused);
    let wrong = [&host, &origin, "Authorization: Bearer ", "X-Redeliver: 1"];
    assert_eq!(site.post_with(&path, &wrong, "{}").status, 401);
}

#[tokio::test]
async fn a_browser_logs_in_once_and_out_again() {
    let site = guarded().await;
    let refused = site.post("/login", r#"{"token":"another-token-of-16"}"#);
    assert_eq!((refused.status, refused.header("set-cookie")), (401, None));
    let [host, _] = site.ours();
    let elsewhere = [&host, "Origin: http://evil.example", "X-Redeliver: 1"];
    let body = format!(r#"{{"token":"{TOKEN}"}}"#);
    assert_eq!(site.post_with("/login", &elsewhere, &body).status, 403);

    let welcome = site.post("/login", &body);
    let cookie = welcome.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN));
    let cookie = format!("Cookie: other=1; {}", cookie.split(';').next().unwrap());
    assert_eq!(site.get_with("/api/overview", &[&cookie]).status, 200);
    // The cookie alone does not act: the page's origin and header are needed all the same.
    let path = site.path("/pause");
    let bare = [&host, &cookie, "Origin: http://evil.example", "X-Redeliver: 1"];
    assert_eq!(site.post_with(&path, &bare, "{}").status, 403);

    let [host, origin] = site.ours();
    let ours = [&host, &origin, &cookie, "X-Redeliver: 1"];
    assert_eq!(site.post_with("/logout", &ours, "{}").status, 200);
    assert_eq!(site.get_with("/api/overview", &[&cookie]).status, 401);
    let told = site.end();
    assert!(!told.contains(TOKEN), "{told}");
}

#[test]
fn an_open_address_needs_a_token_and_a_token_needs_a_length() {
    let run = |args: &[&str], token: &str| {
        let mut command = serve("unix:///nowhere", args);
        let ended = command.env("REDELIVER_TOKEN", token).output().unwrap();
        (ended.status.code().unwrap(), String::from_utf8(ended.stderr).unwrap())
    };
    for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let (code, told) = run(&["--listen", open], "");
        assert_eq!(code, 5, "{told}");
        assert!(told.contains("--token-file"), "{told}");
    }
    let (code, told) = run(&["--listen", "0.0.0.0:0"], "short");
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("16") && !told.contains("short"), "{told}");
    // With a token it goes on, to find that there is no server.
    assert_eq!(run(&["--listen", "0.0.0.0:0"], TOKEN).0, 3);
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let (site, _placed) = Site::new(&[]).await;
    for path in
        ["/", "/main.js", "/api/overview", "/healthz", "/nowhere", "/api/queues/none/history"]
    {
        let answer = site.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "{path}");
        assert!(policy.contains("require-trusted-types-for 'script'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let [host, _] = site.ours();
    let preflight = format!(
        "OPTIONS {} HTTP/1.0\r\n{host}\r\nOrigin: http://evil.example\r\n\
         Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-redeliver",
        site.path("/pause")
    );
    assert_eq!(site.send(&preflight, "").header("access-control-allow-headers"), None);
}
