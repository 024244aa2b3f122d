//! Small rules about texts in a configuration: durations, variables, misspelt names.
//!
//! Decides what a duration is in milliseconds, what `${NAME}` becomes, and which known name is meant. It refuses
//! durations without a unit, open braces, and variables that are not set.

/// `${NAME}` becomes the variable's value, `$${NAME}` stays as `${NAME}`, any other `$` is a plain character.
pub fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let tail = &rest[at + 2..];
        let end = tail
            .find('}')
            .ok_or("a ${ without its closing brace; write $${ for a literal ${")?;
        let name = &tail[..end];
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err("a variable is written ${NAME}, with letters, digits and _ only; write $${ for a literal ${".to_owned());
        }
        let value =
            env(name).ok_or_else(|| format!("the environment variable {name} is not set"))?;
        out.push_str(&value);
        rest = &tail[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Milliseconds of `10s`, `1m30s`, `1.5h`, `500ms`: what Go's durations look like, which the proposal's configuration uses.
pub fn parse_duration(text: &str) -> Result<f64, String> {
    const FORM: &str = "must be a duration with a unit, such as 500ms, 10s or 2m";
    let text = text.trim();
    if text.starts_with('-') {
        return Err("must not be negative".to_owned());
    }
    if text == "0" {
        return Ok(0.0);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().map_err(|_| FORM.to_owned())?;
        let tail = &rest[digits..];
        let unit = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        total += number
            * match &tail[..unit] {
                "ms" => 1.0,
                "s" => 1_000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return Err(FORM.to_owned()),
            };
        rest = &tail[unit..];
    }
    if text.is_empty() {
        return Err(FORM.to_owned());
    }
    Ok(total)
}

/// The shortest way to write milliseconds.
pub fn show_duration(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// The known name that a misspelt one probably means.
pub fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(2);
    known
        .iter()
        .map(|candidate| {
            (
                distance(&name, &candidate.to_lowercase()),
                candidate.as_str(),
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, ms) in [
            ("10s", 10_000.0),
            ("500ms", 500.0),
            ("2m", 120_000.0),
            ("1m30s", 90_000.0),
            ("1.5h", 5_400_000.0),
            ("0", 0.0),
            ("0s", 0.0),
        ] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        for text in ["", "10", "s", "10 s", "10d", "1..5s", "ten seconds"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("-1s"), Err("must not be negative".into()));
    }

    #[test]
    fn the_nearest_known_key_is_offered_and_a_far_one_is_not() {
        let known = ["webhook_url".to_owned(), "secret".to_owned()];
        assert_eq!(nearest("webhok_url", &known), Some("webhook_url"));
        assert_eq!(nearest("Secrets", &known), Some("secret"));
        assert_eq!(nearest("colour", &known), None);
    }
}
