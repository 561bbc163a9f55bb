//! The operator's desk and who may use it: roles, reasons, the page's files.

use super::*;
use crate::{Role, Token, desk};

fn access(secret: &str) -> Arc<Access> {
    let token = |name: &str, secret: String, role| Token { name: name.to_owned(), secret, role };
    let tokens = vec![
        token("anna", format!("{secret}-anna"), Role::Operator),
        token("wall", format!("{secret}-wall"), Role::Viewer),
    ];
    Arc::new(Access::new(Some(SocketAddr::from(([192, 0, 2, 1], 8060))), tokens, None))
}

#[tokio::test]
async fn who_acts_and_why_goes_on_record_and_who_may_not_is_told_what_he_needs() {
    let (asks, mut asked) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            node(ask);
        }
    });
    let (told, now) = watch::channel(access("old"));
    let served = serve_for(Limits::default(), asks, now);
    let act = async |what: &str, token: &str, body: &str| {
        let shown = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let head = format!("POST {what} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n{shown}");
        let answer = served.raw(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        (answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap(), answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    };
    let drain = async |token: &str, body: &str| act("/v1/trunks/acme/drain", token, body).await;
    let force = async |token: &str| act("/v1/groups/carriers/force?tier=0&for=1", token, r#"{"why": "x"}"#).await;
    let forced = r#"{"group":"carriers","sentences":["tier 0 for 1 s","anna","x"]}"#;
    assert_eq!(force("old-anna").await, (200, forced.to_owned()));
    assert_eq!((force("old-wall").await.0, force("").await.0), (403, 401), "who may only look forces nothing");
    let (code, body) = drain("old-anna", r#"{"why": "works until noon"}"#).await;
    assert_eq!((code, body.as_str()), (200, r#"{"sentences":["drained","anna","works until noon"],"trunk":"acme"}"#));
    assert_eq!(drain("old-wall", "").await.0, 403);
    assert_eq!(drain("", "").await.0, 401);
    assert_eq!(drain("new-anna", "").await.0, 401);
    for body in ["[]", "x", r#"{"why": 5}"#, r#"{"because": "x"}"#, r#"{"why": "two\nlines"}"#] {
        assert_eq!(drain("old-anna", body).await.0, 400, "{body}");
    }
    // As many characters as the document says, however many bytes they take.
    for (characters, code) in [(200, 200), (201, 400)] {
        let body = json!({ "why": "é".repeat(characters) }).to_string();
        assert_eq!(drain("old-anna", &body).await.0, code, "{characters}");
    }
    // A reload changes who may.
    told.send(access("new")).unwrap();
    assert_eq!(drain("old-anna", "").await.0, 401);
    assert_eq!(drain("new-anna", "").await.0, 200);
    assert_eq!(served.ask("GET", "/v1/trunks").await.0, 200, "whoever reaches it may look");
    let (_, _, metrics) = served.ask("GET", "/metrics").await;
    assert!(metrics.contains("throughline_api_unauthorised_total 6\n"), "{metrics}");
}

#[tokio::test]
async fn those_who_may_see_nothing_still_get_the_page_and_the_health() {
    let nobody = Arc::new(Access::new(None, Vec::new(), Some(None)));
    let (asks, mut asked) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(ask) = asked.recv().await {
            node(ask);
        }
    });
    let served = serve_for(Limits::default(), asks, watch::channel(nobody).1);
    for (path, code) in [("/", 200), ("/desk/desk.js", 200), ("/healthz", 200), ("/v1/trunks", 401), ("/metrics", 401)]
    {
        assert_eq!(served.ask("GET", path).await.0, code, "{path}");
    }
}

#[tokio::test]
async fn the_desk_is_small_and_runs_nothing_but_its_own_files() {
    let served = serve(Limits::default(), node);
    let mut bytes = 0;
    for asset in desk::ASSETS {
        let (code, head, body) = served.ask("GET", asset.path).await;
        assert_eq!((code, body.as_str()), (200, asset.text), "{}", asset.path);
        let head = head.to_lowercase();
        assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff") && !head.contains("unsafe"), "{head}");
        for word in ["http://", "https://", "//cdn", " style=\"", "<script>", "onclick=", "eval(", "innerHTML"] {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(word), "{} has `{word}`", asset.path);
        }
        bytes += body.len();
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        let again =
            format!("GET {} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nIf-None-Match: {tag}\r\n\r\n", asset.path);
        assert!(served.raw(&again).await.starts_with("HTTP/1.1 304"), "{}", asset.path);
    }
    assert!(bytes < 100_000, "{bytes} bytes");
}

#[tokio::test]
async fn the_timeline_turns_its_pages_backwards() {
    let served = serve(Limits::default(), node);
    let (code, page) = served.json("GET", "/v1/timeline?before=40&trunk=acme&limit=2").await;
    let numbers: Vec<_> = page["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].clone()).collect();
    assert_eq!((code, numbers, &page["more"]), (200, vec![json!(39), json!(38)], &json!(true)));
    assert!(page["entries"][0]["sentence"].as_str().unwrap().ends_with("of Some(\"acme\")"), "{page}");
    assert_eq!(served.json("GET", "/v1/timeline?limit=5").await.1["more"], false);
}
