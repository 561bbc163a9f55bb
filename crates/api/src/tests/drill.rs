//! What a drill is told, and what no drill can be told.

use super::*;

#[tokio::test]
async fn a_drill_is_begun_kept_and_ended_by_its_number() {
    let served = serve(Limits::default(), node);
    for (method, path, asked) in [
        ("GET", "/v1/drill", "Look"),
        (
            "POST",
            "/v1/drill?trunks=acme,globex&callers=office@127.0.0.1:5998&all_calls=true&limit=60",
            "Begin { word: Word { who: \"local\", why: \"\" }, trunks: [\"acme\", \"globex\"], callers: [(127.0.0.1:5998, \"office\")], all_calls: true, limit: 60 }",
        ),
        (
            "POST",
            "/v1/drill/0f/break?trunk=acme&fault=503",
            "Break { id: 15, trunk: \"acme\", fault: Some(Code(503)) }",
        ),
        ("POST", "/v1/drill/0f/mend?trunk=acme", "Break { id: 15, trunk: \"acme\", fault: None }"),
        ("POST", "/v1/drill/F/keep", "Keep { id: 15 }"),
        ("POST", "/v1/drill/f/end?passed=4&failed=1", "End { id: 15, passed: 4, failed: 1 }"),
    ] {
        let (code, answer) = served.json(method, path).await;
        assert_eq!((code, &answer["drill"]["who"]), (200, &json!(asked)), "{path}");
    }
    for (code, path, error) in [
        (400, "/v1/drill/x/keep", "`x` is no drill"),
        (400, "/v1/drill/+f/keep", "`+f` is no drill"),
        (400, "/v1/drill/f/break?trunk=acme&fault=200", "`200` is no way to break a trunk"),
        (400, "/v1/drill/f/mend", "`trunk` is not fit to be one"),
        (400, "/v1/drill/f/mend?trunk=acme&fault=503", "there is no parameter `fault`"),
        (400, "/v1/drill?trunks=acme&callers=office", "`office` is no caller"),
        (404, "/v1/drill/f/explode", "there is nothing at /v1/drill/f/explode"),
    ] {
        assert_eq!(served.error(code, "POST", path).await, error, "{path}");
    }
}
