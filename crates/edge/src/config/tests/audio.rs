//! What is read of a trunk's audio.

use super::*;

#[test]
fn a_trunks_audio_is_as_it_is_written() {
    let text = EXAMPLE.replace(
        "[trunk.acme]",
        "[trunk.acme]\nmedia = [\"wan\", \"lan\"]\nrescue = \"both\"\naudio = { start = \"4s\", silence = \"2s\", dead = \"never\", loss = \"5%\", mos = \"3.1\" }",
    );
    let settings = settings(&text);
    let audio = settings.shape.trunk(TrunkId(1)).unwrap().audio;
    assert_eq!((audio.start, audio.silence, audio.dead), (Span::from_secs(4), Span::from_secs(2), Span::ZERO));
    assert_eq!((audio.loss, audio.rescue), (50, decide::Rescue::Both));
    assert_eq!(audio.mos, Some(model::Mos::from_hundredths(310)));
    let profile = settings.profiles.trunk(TrunkId(1)).unwrap();
    let names: Vec<_> =
        profile.interfaces.iter().map(|id: &model::ListenId| settings.listens[id.index()].name.to_string()).collect();
    assert_eq!(names, ["wan", "lan"]);
    let default = settings.shape.trunk(TrunkId(2)).unwrap().audio;
    assert_eq!(default, decide::AudioPolicy::default());
}

#[test]
fn what_makes_no_sense_is_told() {
    for (line, wanted) in [
        ("media = [\"wann\"]", "error there is no listen `wann` | did you mean `wan`?"),
        ("media = [\"wan\", \"wan\"]", "error listen `wan` is named twice"),
        ("rescue = \"yes\"", "error this is the text \"yes\""),
        ("audio = { silence = \"1ms\" }", "error 1 ms is too short"),
        ("audio = { mos = 3.1 }", "error this is the number 3.1 | write \"3.1\""),
        ("audio = { mos = \"4.3\" }", "error this is the text \"4.3\""),
        ("audio = { mos = \"3.15\" }", "error this is the text \"3.15\""),
        ("audio = { mos = \"bad\" }", "error this is the text \"bad\""),
        ("audio = { silence = \"20s\", dead = \"10s\" }", "error calls are ended after 10 s without audio"),
    ] {
        let list = said(&EXAMPLE.replace("[trunk.acme]", &format!("[trunk.acme]\n{line}")));
        assert!(list.iter().any(|said| said.contains(wanted)), "{line}: {list:?}");
    }
}
