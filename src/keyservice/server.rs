//! A key service for one command: what the stock `sops` asks is answered with the identities of this process, which are
//! unlocked once. Keys of other types go on to the key service that we use ourselves.

use std::rc::Rc;

use bytes::Bytes as Chunk;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{UnixListener, UnixStream};

use super::message::{self, Bytes, Call, MAX_MESSAGE};
use crate::sops::{Identities, ServiceKey};

/// gRPC's status codes (grpc/doc/statuscodes.md).
const UNKNOWN: u16 = 2;
const INVALID_ARGUMENT: u16 = 3;
const NOT_FOUND: u16 = 5;
const UNIMPLEMENTED: u16 = 12;

/// Answers on `socket` until the future is dropped.
///
/// # Errors
/// When nothing can be accepted any more.
pub(super) async fn serve(socket: UnixListener, identities: Rc<Identities>) -> std::io::Result<()> {
    tokio::task::LocalSet::new().run_until(accept(socket, identities)).await
}

async fn accept(socket: UnixListener, identities: Rc<Identities>) -> std::io::Result<()> {
    loop {
        let (stream, _) = socket.accept().await?;
        let identities = Rc::clone(&identities);
        tokio::task::spawn_local(async move {
            // A client that breaks off has lost nothing of ours.
            let _ = connection(stream, identities).await;
        });
    }
}

async fn connection(stream: UnixStream, identities: Rc<Identities>) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let identities = Rc::clone(&identities);
        tokio::task::spawn_local(async move {
            let _ = exchange(request, respond, &identities).await;
        });
    }
    Ok(())
}

async fn exchange(
    request: Request<RecvStream>,
    mut respond: SendResponse<Chunk>,
    identities: &Identities,
) -> Result<(), h2::Error> {
    let call = Call::ALL.into_iter().find(|call| call.path() == request.uri().path());
    let mut body = request.into_body();
    let mut frame = Bytes::default();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        if frame.len() + chunk.len() > MAX_MESSAGE {
            break;
        }
        frame.extend_from_slice(&chunk);
    }
    let answer = match (call, message::unframed(&frame).and_then(message::read_request)) {
        (None, _) => Err((UNIMPLEMENTED, "there is no such method".to_owned())),
        (_, None) => Err((INVALID_ARGUMENT, "this is no request of the protocol".to_owned())),
        (Some(call), Some((key, bytes))) => answer(call, &key, &bytes, identities),
    };
    let (status, text, content) = match answer {
        Ok(bytes) => (0, String::new(), Some(bytes)),
        Err((status, text)) => (status, text, None),
    };
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let mut stream = respond.send_response(response, false)?;
    if let Some(bytes) = content {
        let frame = message::framed(&message::response(&bytes));
        stream.send_data(Chunk::copy_from_slice(&frame), false)?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    if let Ok(text) = HeaderValue::from_str(&encoded(&text)) {
        trailers.insert("grpc-message", text);
    }
    stream.send_trailers(trailers)
}

type Answer = Result<Bytes, (u16, String)>;

fn answer(call: Call, key: &ServiceKey, bytes: &[u8], identities: &Identities) -> Answer {
    let text = || str::from_utf8(bytes).map_err(|_| (INVALID_ARGUMENT, "this is not text".to_owned()));
    let unknown = |error: &dyn std::fmt::Display| (UNKNOWN, error.to_string());
    match call {
        Call::Encrypt => {
            let wrapped = identities.encrypt_for(key, bytes).map_err(|error| unknown(&error))?;
            Ok(Bytes::new(wrapped.into_bytes()))
        }
        Call::Decrypt => match identities.decrypt_from(key, text()?) {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(error)) => Err(unknown(&error)),
            None => Err((NOT_FOUND, format!("provision has no identity for {key}"))),
        },
    }
}

/// Percent-encoded, as gRPC has it.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'%' | 0..=0x1f | 0x7f.. => encoded.push_str(&format!("%{byte:02X}")),
            plain => encoded.push(char::from(plain)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(encoded("a b\n100% é"), "a b%0A100%25 %C3%A9");
    }
}
