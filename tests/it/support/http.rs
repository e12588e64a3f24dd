//! A server on loopback that answers as a Vault or as AWS KMS does, as far as sops asks: what it wraps it hides from
//! nobody.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

pub(crate) struct Answering {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

type Answer = fn(&Request) -> (String, Value);

struct Request {
    line: String,
    target: String,
    body: Value,
}

impl Answering {
    /// Vault's transit engine: base64 with a prefix.
    pub(crate) fn vault() -> Self {
        Self::start(|request| {
            let answer = match (&request.body["plaintext"], &request.body["ciphertext"]) {
                (Value::String(plain), _) => json!({"ciphertext": format!("vault:v1:{plain}")}),
                (_, Value::String(wrapped)) => json!({"plaintext": wrapped.trim_start_matches("vault:v1:")}),
                _ => json!({}),
            };
            (request.line.clone(), json!({"data": answer}))
        })
    }

    /// AWS KMS: base64.
    pub(crate) fn kms() -> Self {
        Self::start(|request| {
            let answer = match (&request.body["Plaintext"], &request.body["CiphertextBlob"]) {
                (Value::String(plain), _) => json!({"CiphertextBlob": plain, "KeyId": request.body["KeyId"]}),
                (_, wrapped) => json!({"Plaintext": wrapped, "KeyId": request.body["KeyId"]}),
            };
            (request.target.clone(), answer)
        })
    }

    fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let notes = Arc::clone(&notes);
                thread::spawn(move || serve(stream, answer, &notes));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What was asked since the last call.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, answer: Answer, notes: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let (note, body) = answer(&request);
        notes.lock().unwrap().push(note);
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut request =
        Request { line: line.rsplit_once(' ')?.0.to_owned(), target: String::new(), body: Value::Null };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "x-amz-target" => value.clone_into(&mut request.target),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(request)
}
