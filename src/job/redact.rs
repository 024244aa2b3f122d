//! What may leave the process as the reason of a failure: at most 1 KiB, on one line, without secrets or tokens.
//! It refuses to judge the rest of the text, which is the user's own.

/// The most a reported reason may have.
pub const MAX_ERROR_BYTES: usize = 1024;

const MARK: &str = "[redacted]";

/// Makes a reason fit to be reported: known secrets and anything shaped like a token are replaced, control characters
/// become spaces, and the text is cut at 1 KiB on a character's border.
pub fn redact(text: &str, secrets: &[&str]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        clean = clean.replace(secret, MARK);
    }
    clean = without_tokens(&clean);
    clean = clean
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    cut(clean.trim(), MAX_ERROR_BYTES).to_owned()
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+' | b'/' | b'=')
}

/// Replaces every run of characters that reads like a JWT (`eyJ….….…`) or a `whsec_` secret.
fn without_tokens(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let run = rest.bytes().take_while(|byte| is_token_byte(*byte)).count();
        if run == 0 {
            let step = rest.chars().next().map_or(1, char::len_utf8);
            clean.push_str(&rest[..step]);
            at += step;
            continue;
        }
        clean.push_str(&replace_in_run(&rest[..run]));
        at += run;
    }
    clean
}

/// One run of token characters: what precedes the secret (`access_token=`) stays readable.
fn replace_in_run(run: &str) -> String {
    let jwt = run
        .find("eyJ")
        .filter(|start| run[*start..].matches('.').count() >= 2);
    match jwt.or_else(|| run.find("whsec_")) {
        Some(start) => format!("{}{MARK}", &run[..start]),
        None => run.to_owned(),
    }
}
