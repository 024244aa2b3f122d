//! Records as rows.
//!
//! Decides how a job lies in the tables: `jobs` is the truth, `deliveries` is its history. A row that
//! cannot be read is an error, never a guess.

use rusqlite::{params, Connection, OptionalExtension, Row};

use crate::dispatcher::machine::{Delivery, Record, Stage, Token};
use crate::id::{Pii, Secret};
use crate::words::JobStatus;

const SELECT: &str = "
    SELECT j.stage, j.status, j.error, j.job, j.identity, j.bearers, j.token, j.token_expires_at, j.token_url, j.terminated_at,
           j.created_at, j.updated_at, j.ended_at, d.number, d.url, d.attempt, d.started_at, d.cancelled
    FROM jobs j LEFT JOIN deliveries d
      ON d.job_id = j.job_id AND d.number = (SELECT max(number) FROM deliveries WHERE job_id = j.job_id)";

/// Writes a record over what is there.
pub fn save(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let job_id = record.job_id().as_str();
    let status = record.status.as_str();
    connection
        .prepare_cached(
            "INSERT INTO jobs (job_id, stage, status, error, job, identity, bearers, token,
             token_expires_at, token_url, terminated_at, created_at, updated_at, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT (job_id) DO UPDATE SET stage = ?2, status = ?3, error = ?4, bearers = ?7, token = ?8,
             token_expires_at = ?9, token_url = ?10, terminated_at = ?11, updated_at = ?13, ended_at = ?14",
        )?
        .execute(params![
            job_id,
            record.stage.as_str(),
            status,
            record.error,
            to_json(&record.job)?,
            record.identity.0,
            to_json(&record.bearers)?,
            record.token.as_ref().map(|token| token.jwt.expose()),
            record.token_expires_at,
            record.token.as_ref().and_then(|token| token.url.as_deref()),
            record.terminated_at,
            record.created_at,
            record.updated_at,
            record.ended_at,
        ])?;
    if let Some(delivery) = &record.delivery {
        connection
            .prepare_cached(
                "INSERT INTO deliveries (job_id, number, url, attempt, started_at, cancelled)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (job_id, number) DO UPDATE SET attempt = ?4, started_at = ?5, cancelled = ?6",
            )?
            .execute(params![
                job_id,
                delivery.number,
                delivery.url,
                delivery.attempt,
                delivery.started_at,
                delivery.cancelled
            ])?;
    }
    Ok(())
}

/// Every job that has not ended, oldest first.
pub fn unfinished(connection: &Connection) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare(&format!(
        "{SELECT} WHERE j.ended_at IS NULL ORDER BY j.created_at"
    ))?;
    let records = statement.query_map([], read)?.collect();
    records
}

/// The last jobs that ended after a time in Unix milliseconds, in the order of their ends.
pub fn ended_since(
    connection: &Connection,
    since: i64,
    max: usize,
) -> rusqlite::Result<Vec<Record>> {
    let mut statement = connection.prepare(&format!(
        "{SELECT} WHERE j.ended_at > ?1 ORDER BY j.ended_at DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![since, max as i64], read)?;
    let mut records: Vec<Record> = rows.collect::<rusqlite::Result<_>>()?;
    records.reverse();
    Ok(records)
}

pub fn find(connection: &Connection, job_id: &str) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(&format!("{SELECT} WHERE j.job_id = ?1"))?
        .query_row([job_id], read)
        .optional()
}

/// Deletes jobs that ended before a time in Unix milliseconds; returns how many.
pub fn purge(connection: &Connection, ended_before: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached("DELETE FROM jobs WHERE ended_at < ?1")?
        .execute([ended_before])
}

fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, Box::new(error)))
}

fn unreadable(column: usize, error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    let stage: String = row.get(0)?;
    let status: String = row.get(1)?;
    let token = match row.get::<_, Option<String>>(6)? {
        Some(jwt) => Some(Token {
            jwt: Secret::new(jwt),
            url: row.get(8)?,
        }),
        None => None,
    };
    let delivery = match row.get::<_, Option<u32>>(13)? {
        Some(number) => Some(Delivery {
            number,
            url: row.get(14)?,
            attempt: row.get(15)?,
            started_at: row.get(16)?,
            cancelled: row.get(17)?,
        }),
        None => None,
    };
    Ok(Record {
        stage: (Stage::ALL.into_iter().find(|known| known.as_str() == stage))
            .ok_or_else(|| unreadable(0, "an unknown stage".into()))?,
        status: JobStatus::parse(&status)
            .ok_or_else(|| unreadable(1, "an unknown status".into()))?,
        error: row.get(2)?,
        job: from_json(row, 3)?,
        identity: Pii(row.get(4)?),
        bearers: from_json(row, 5)?,
        token,
        token_expires_at: row.get(7)?,
        delivery,
        terminated_at: row.get(9)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
        ended_at: row.get(12)?,
    })
}
