// A phone in a page: JsSIP speaks SIP, the browser does the audio. It plays a tone, tells whoever served it what it hears and what becomes of
// its calls, and does what it is told there. Refuses to know: what the test wants to prove.
"use strict";

const setup = Object.fromEntries(new URLSearchParams(location.search));
const tones = setup.tones.split(",").map(Number);
/// Between two looks at what is heard; each that finds a tone is told.
const LOOK_MS = 100;
/// What is softer is silence.
const SILENCE_DB = -60;
/// So many looks that find none are told too.
const SILENT_LOOKS = 10;

// What is said arrives in order.
let saying = Promise.resolve();
function say(line) {
  saying = saying.then(() => fetch(`/said?user=${setup.user}`, { method: "POST", body: line }));
}

addEventListener("error", (event) => say(`broke: ${event.message}`));
addEventListener("unhandledrejection", (event) => say(`broke: ${event.reason}`));

const audio = new AudioContext();

function played() {
  const source = new OscillatorNode(audio, { frequency: Number(setup.tone) });
  const out = new MediaStreamAudioDestinationNode(audio);
  source.connect(new GainNode(audio, { gain: 0.3 })).connect(out);
  source.start();
  return out.stream;
}

/// Tells which tone a stream has, until it is stopped by what this returns.
function listen(stream) {
  // What no element plays is not decoded.
  const player = new Audio();
  player.muted = true;
  player.srcObject = stream;
  player.play();
  const ear = new AnalyserNode(audio, { fftSize: 4096, smoothingTimeConstant: 0 });
  const source = audio.createMediaStreamSource(stream);
  source.connect(ear);
  const levels = new Float32Array(ear.frequencyBinCount);
  let silent = 0;
  const looks = setInterval(() => {
    ear.getFloatFrequencyData(levels);
    const loudest = Math.max(...levels);
    const hz = (levels.indexOf(loudest) * audio.sampleRate) / ear.fftSize;
    const tone = tones.find((tone) => Math.abs(tone - hz) < 20);
    if (loudest > SILENCE_DB && tone) {
      silent = 0;
      say(`hears ${tone}`);
    } else if (++silent % SILENT_LOOKS === 0) {
      say("silence");
    }
  }, LOOK_MS);
  return () => {
    clearInterval(looks);
    source.disconnect();
    player.srcObject = null;
  };
}

/// How the audio of a connection is protected, once it is.
async function tellProtection(connection) {
  const found = [...(await connection.getStats()).values()].find((stats) => stats.type === "transport");
  say(`audio dtls ${found.dtlsState} ${found.srtpCipher}`);
}

let session;

function follow(begun) {
  session = begun;
  let stop = () => {};
  const watch = (connection) => {
    connection.addEventListener("track", (event) => {
      stop();
      stop = listen(new MediaStream([event.track]));
    });
    connection.addEventListener("connectionstatechange", () => {
      if (connection.connectionState === "connected") tellProtection(connection);
    });
  };
  // One that is called has its connection when it answers.
  if (begun.connection) watch(begun.connection);
  begun.on("peerconnection", ({ peerconnection }) => watch(peerconnection));
  begun.on("confirmed", () => say("talks"));
  for (const event of ["progress", "hold", "unhold"]) {
    begun.on(event, ({ originator }) => say(`${event} ${originator}`));
  }
  for (const event of ["ended", "failed"]) {
    begun.on(event, ({ originator, cause }) => {
      stop();
      say(`${event} ${originator} ${cause}`);
    });
  }
}

/// The name by which ICE knows this side, and the port by which it is reached.
async function reached() {
  const { connection } = session;
  const found = [...(await connection.getStats()).values()];
  const transport = found.find((stats) => stats.type === "transport");
  const pair = found.find((stats) => stats.id === transport.selectedCandidatePairId);
  const { port } = found.find((stats) => stats.id === pair.localCandidateId);
  return [/a=ice-ufrag:(\S+)/.exec(connection.localDescription.sdp)[1], port];
}

/// Begins ICE anew, as a page does whose machine has changed its network, and tells when another pair carries the audio.
async function restart() {
  const before = await reached();
  session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
  for (;;) {
    const now = await reached().catch(() => before);
    if (now.every((part, index) => part !== before[index])) return say("restarted");
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

const media = () => ({ mediaStream: played(), pcConfig: { iceServers: [] } });
const phone = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(`wss://${setup.edge}/`)],
  uri: `sip:${setup.user}@${setup.realm}`,
  password: setup.secret,
});
phone.on("disconnected", () => say("disconnected"));
phone.on("registered", () => say("registered"));
phone.on("registrationFailed", ({ cause }) => say(`not registered: ${cause}`));
phone.on("newRTCSession", ({ session, originator }) => {
  follow(session);
  if (originator === "remote" && setup.answers === "true") session.answer(media());
});

const orders = {
  call: (number) => phone.call(`sip:${number}@${setup.realm}`, media()),
  refuse: () => session.terminate({ status_code: 486 }),
  hangup: () => session.terminate(),
  hold: () => session.hold({}, () => say("holds")),
  resume: () => session.unhold({}, () => say("resumed")),
  restart,
};

async function obey() {
  for (;;) {
    const answer = await fetch(`/orders?user=${setup.user}`);
    for (const line of (await answer.text()).split("\n").filter(Boolean)) {
      const [order, ...rest] = line.split(" ");
      orders[order](...rest);
    }
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
}

// A browser shows the addresses of its machine only to a page that may listen to it.
navigator.mediaDevices.getUserMedia({ audio: true }).then(() => {
  phone.start();
  obey();
});
