//! A key service of SOPS (keyservice/keyservice.proto) on loopback that works with every key: it writes down what it is
//! asked, and hides from nobody what it wraps.

use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::{TcpListener, TcpStream};

/// What was asked: `Encrypt` or `Decrypt`, and the key as it was sent.
pub(crate) type Asked = (String, Key);

/// A key: which of the kinds of the protocol it is, and its fields; of a map each entry.
pub(crate) type Key = (u64, Vec<(u64, Vec<u8>)>);

pub(crate) struct KeyService {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl KeyService {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&notes)));
                }
            });
        });
        Self { address, asked }
    }

    /// For SOPS_KEYSERVICE.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

async fn serve(stream: TcpStream, notes: Arc<Mutex<Vec<Asked>>>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let notes = Arc::clone(&notes);
        tokio::spawn(async move {
            let call = request.uri().path().rsplit('/').next().unwrap().to_owned();
            let mut body = request.into_body();
            let mut frame = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                body.flow_control().release_capacity(chunk.len()).unwrap();
                frame.extend_from_slice(&chunk);
            }
            // One byte for compression, four for the length.
            let fields = fields(&frame[5..]);
            let of = |number: u64| fields.iter().find(|(field, _)| *field == number).unwrap().1.clone();
            let (kind, key) = self::fields(&of(1)).remove(0);
            let data = of(2);
            let answer = match call.as_str() {
                "Encrypt" => [b"wrapped:".to_vec(), hex(&data)].concat(),
                _ => unhex(data.strip_prefix(b"wrapped:").unwrap()),
            };
            notes.lock().unwrap().push((call, (kind, self::fields(&key))));
            let message = [vec![0x0a, u8::try_from(answer.len()).unwrap()], answer].concat();
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let frame = [vec![0], length.to_vec(), message].concat();
            let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            stream.send_data(Bytes::from(frame), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            stream.send_trailers(trailers).unwrap();
        });
    }
}

/// The fields of a message, all of which have a length here (protobuf, "Encoding"); in the order of their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        assert_eq!(tag & 7, 2, "a field with a length");
        let length = usize::try_from(varint(&mut message)).unwrap();
        let (field, rest) = message.split_at(length);
        fields.push((tag >> 3, field.to_vec()));
        message = rest;
    }
    fields.sort();
    fields
}

fn varint(message: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = message[0];
        *message = &message[1..];
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes()
}

fn unhex(text: &[u8]) -> Vec<u8> {
    let digits = str::from_utf8(text).unwrap();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect()
}
