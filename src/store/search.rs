//! Finding records: by their columns where one index answers, by the index of words otherwise, newest first.

use sea_orm::Value;
use sqlx::{AssertSqlSafe, Row as _};

use super::append::{loaded, stored};
use super::words::{Term, words};
use super::{Backend, Record, Store, StoreError, column};

/// Most records of one answer.
const MOST: u64 = 1_000;
/// Most words of a text that is looked for.
const MOST_WORDS: usize = 32;
/// How far records may be out of the order of their times: outcomes wait for the database in a queue of 10,000.
const DISORDER: i64 = 20_000;

/// What records are wanted: those that match all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// The id of who acted.
    pub actor: Option<String>,
    /// The action.
    pub action: Option<String>,
    /// The resource, `Type::id`.
    pub resource: Option<String>,
    /// `allow`, `deny` or `challenge`.
    pub decision: Option<String>,
    /// The kind of record.
    pub kind: Option<String>,
    /// The id of a policy that determined the decision.
    pub policy: Option<String>,
    /// The id of the request.
    pub request: Option<String>,
    /// Words that must all be in the texts of the record.
    pub text: Option<String>,
    /// Not before this time, as records spell times.
    pub from: Option<String>,
    /// Before this time, as records spell times.
    pub to: Option<String>,
    /// Not before this record.
    pub first: Option<u64>,
    /// Not after this record.
    pub last: Option<u64>,
}

impl RecordFilter {
    /// Whether the answer needs the index of words, which follows the log: it must be current then.
    #[must_use]
    pub const fn needs_words(&self) -> bool {
        if self.policy.is_some() || self.text.is_some() {
            return true;
        }
        let other = self.resource.is_some() || self.kind.is_some() || self.decision.is_some();
        self.request.is_none() && (other || (self.actor.is_some() && self.action.is_some()))
    }

    /// What is asked of the index of words.
    fn terms(&self) -> Result<Vec<String>, StoreError> {
        let mut terms = Vec::new();
        if let Some(text) = &self.text {
            terms.extend(words(text).take(MOST_WORDS + 1));
            if terms.is_empty() {
                return Err(StoreError::Invalid("the text has no word to look for".to_owned()));
            }
            if terms.len() > MOST_WORDS {
                return Err(StoreError::Invalid(format!("the text has more than {MOST_WORDS} words")));
            }
        }
        let mut term = |term: Term, value: &Option<String>| terms.extend(value.iter().map(|value| term.of(value)));
        term(Term::Policy, &self.policy);
        if self.request.is_none() && self.needs_words() {
            term(Term::Actor, &self.actor);
            term(Term::Action, &self.action);
            term(Term::Resource, &self.resource);
            term(Term::Kind, &self.kind);
            term(Term::Decision, &self.decision);
        }
        Ok(terms)
    }

    /// Equal columns that are asked of the records themselves.
    fn columns(&self, by_words: bool) -> Vec<(&'static str, &str)> {
        let by_column = [
            ("request_id", &self.request, true),
            ("actor", &self.actor, self.request.is_some() || !by_words),
            ("action", &self.action, self.request.is_some() || !by_words),
            ("resource", &self.resource, self.request.is_some()),
            ("kind", &self.kind, self.request.is_some()),
            ("decision", &self.decision, self.request.is_some()),
        ];
        by_column.into_iter().filter(|column| column.2).filter_map(|(c, v, _)| Some((c, v.as_deref()?))).collect()
    }
}

/// Which records come first.
#[derive(Clone, Copy)]
enum Order {
    /// The oldest.
    Up,
    /// The newest.
    Down,
}

impl Order {
    const fn word(self) -> &'static str {
        match self {
            Self::Up => "ASC",
            Self::Down => "DESC",
        }
    }
}

/// Records that are read in order before the index of words is asked, on PostgreSQL.
const NARROW: u64 = 20_000;

/// Where to look, and for how many.
#[derive(Clone, Copy)]
struct Page {
    first: u64,
    last: u64,
    limit: u64,
    order: Order,
    /// Whether there is too much of it to be read in order.
    is_wide: bool,
}

impl Page {
    /// The `width` records of it that come first.
    fn window(self, width: u64) -> Self {
        let (first, last) = match self.order {
            Order::Up => (self.first, self.last.min(self.first.saturating_add(width - 1))),
            Order::Down => (self.first.max((self.last + 1).saturating_sub(width)), self.last),
        };
        Self { first, last, is_wide: width > NARROW, ..self }
    }

    /// What is left of it behind that window, which held `found`.
    const fn after(self, window: Self, found: u64) -> Self {
        let limit = self.limit.saturating_sub(found);
        match self.order {
            Order::Up => Self { first: window.last + 1, limit, ..self },
            Order::Down => Self { last: window.first.saturating_sub(1), limit, ..self },
        }
    }
}

/// A statement that grows, with its values.
#[derive(Default)]
struct Sql {
    text: String,
    values: Vec<Bound>,
}

enum Bound {
    Text(String),
    Number(i64),
}

impl Sql {
    /// Adds a piece; `?` stands for the value.
    fn push(&mut self, piece: &str, value: Bound) {
        self.values.push(value);
        self.text.push_str(&piece.replace('?', &format!("${}", self.values.len())));
    }
}

impl Store {
    /// The newest records that match, before record `before`, newest first; at most `limit`, and never more
    /// than 1,000. Where [`RecordFilter::needs_words`], those that are not in the index yet are not found.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a text without words or with too many; [`StoreError::Unavailable`].
    pub async fn records_search(
        &self,
        filter: &RecordFilter,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Record>, StoreError> {
        let last = before.map_or(u64::MAX >> 1, |before| before.saturating_sub(1));
        self.matching_records(filter, (1, last), limit, Order::Down).await
    }

    /// The oldest records that match, after record `after`, oldest first; else as [`Store::records_search`].
    ///
    /// # Errors
    /// As [`Store::records_search`].
    pub async fn records_search_up(
        &self,
        filter: &RecordFilter,
        after: u64,
        limit: u64,
    ) -> Result<Vec<Record>, StoreError> {
        self.matching_records(filter, (after.saturating_add(1), u64::MAX >> 1), limit, Order::Up).await
    }

    async fn matching_records(
        &self,
        filter: &RecordFilter,
        (first, last): (u64, u64),
        limit: u64,
        order: Order,
    ) -> Result<Vec<Record>, StoreError> {
        let terms = filter.terms()?;
        let (mut first, mut last) =
            (filter.first.map_or(first, |from| first.max(from)), filter.last.map_or(last, |to| last.min(to)));
        if filter.from.is_some() || filter.to.is_some() {
            let range = self.seq_range(filter.from.as_deref(), filter.to.as_deref()).await?;
            (first, last) = (first.max(range.0), last.min(range.1));
        }
        if first > last || limit == 0 {
            return Ok(Vec::new());
        }
        let page = Page { first, last, limit: limit.min(MOST), order, is_wide: false };
        let found = self.find_numbers(filter, &terms, page).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<String> = found.iter().map(i64::to_string).collect();
        let (clause, list) = match self.backend() {
            Backend::Sqlite => ("IN (SELECT value FROM json_each($1))", format!("[{}]", list.join(","))),
            Backend::Postgres => ("= ANY (CAST($1 AS bigint[]))", format!("{{{}}}", list.join(","))),
        };
        self.records(&format!("WHERE seq {clause} ORDER BY seq {}", order.word()), vec![list.into()]).await
    }

    async fn find_numbers(&self, filter: &RecordFilter, terms: &[String], page: Page) -> Result<Vec<i64>, StoreError> {
        if self.backend() == Backend::Sqlite || terms.is_empty() || filter.request.is_some() {
            return self.numbers(self.search_sql(filter, terms, page)?).await;
        }
        // PostgreSQL's index of words gives no order. Common words are found by reading a little of the log in
        // order, rare ones by the index and sorting; which it is shows.
        let mut rest = Page { last: page.last.min(self.ends().await?.last), ..page };
        let (mut found, mut width) = (Vec::new(), NARROW);
        while rest.first <= rest.last && rest.limit > 0 {
            let window = rest.window(width);
            let numbers = self.numbers(self.search_sql(filter, terms, window)?).await?;
            rest = rest.after(window, u64::try_from(numbers.len()).unwrap_or(rest.limit));
            found.extend(numbers);
            width = width.saturating_mul(10);
        }
        Ok(found)
    }

    fn search_sql(&self, filter: &RecordFilter, terms: &[String], page: Page) -> Result<Sql, StoreError> {
        let mut sql = Sql::default();
        let (seq, matches) = match self.backend() {
            Backend::Sqlite => ("rowid", "w.audit_words MATCH ?"),
            Backend::Postgres => ("seq", "w.words @@ CAST(? AS tsquery)"),
        };
        let query = || Bound::Text(self.matching(terms));
        let columns = filter.columns(!terms.is_empty());
        let key = if terms.is_empty() {
            sql.text.push_str("SELECT r.seq FROM audit_records r WHERE r.seq IS NOT NULL");
            "r.seq".to_owned()
        } else if filter.request.is_some() {
            sql.text.push_str("SELECT r.seq FROM audit_records r WHERE EXISTS (SELECT 1 FROM audit_words w WHERE ");
            sql.push(matches, query());
            sql.text.push_str(&format!(" AND w.{seq} = r.seq)"));
            "r.seq".to_owned()
        } else {
            // CROSS keeps the order of the tables, and with it that of the index of words.
            let timed = filter.from.is_some() || filter.to.is_some();
            let join =
                if timed { format!("CROSS JOIN audit_records r WHERE r.seq = w.{seq} AND") } else { "WHERE".into() };
            sql.text = format!("SELECT w.{seq} FROM audit_words w {join} ");
            sql.push(matches, query());
            format!("w.{seq}")
        };
        sql.push(&format!(" AND {key} >= ?"), Bound::Number(stored(page.first)?));
        sql.push(&format!(" AND {key} <= ?"), Bound::Number(stored(page.last)?));
        for (name, value) in columns {
            sql.push(&format!(" AND r.{name} = ?"), Bound::Text(column(value)));
        }
        if let Some(from) = &filter.from {
            sql.push(" AND r.ts >= ?", Bound::Text(column(from)));
        }
        if let Some(to) = &filter.to {
            sql.push(" AND r.ts < ?", Bound::Text(column(to)));
        }
        // A sum is in no index: what is wide is not read in order.
        let plus = if page.is_wide { " + 0" } else { "" };
        let order = format!(" ORDER BY {key}{plus} {} LIMIT ?", page.order.word());
        sql.push(&order, Bound::Number(stored(page.limit)?));
        Ok(sql)
    }

    /// The query for all of these words and terms. None of them holds a quote or a space.
    pub(super) fn matching(&self, terms: &[String]) -> String {
        let (quote, and) = match self.backend() {
            Backend::Sqlite => ('"', " AND "),
            Backend::Postgres => ('\'', " & "),
        };
        let quoted: Vec<String> = terms.iter().map(|term| format!("{quote}{term}{quote}")).collect();
        quoted.join(and)
    }

    async fn numbers(&self, sql: Sql) -> Result<Vec<i64>, StoreError> {
        if self.backend() == Backend::Sqlite {
            let values = sql.values.into_iter().map(|value| match value {
                Bound::Text(text) => Value::from(text),
                Bound::Number(number) => Value::from(number),
            });
            let rows = self.select(&sql.text, values.collect()).await?;
            return rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect();
        }
        let pool = self.inner.read.get_postgres_connection_pool().clone();
        self.run(async move {
            // Not kept prepared: the plan depends on how often these words occur.
            let mut query = sqlx::query(AssertSqlSafe(sql.text)).persistent(false);
            for value in sql.values {
                query = match value {
                    Bound::Text(text) => query.bind(text),
                    Bound::Number(number) => query.bind(number),
                };
            }
            let rows = query.fetch_all(&pool).await?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
        })
        .await
    }

    /// The first and the last record of a time, as records spell times: not before `from`, before `to`. When
    /// there is none, the last is smaller than the first. Records a little out of order are within; those in
    /// between may be of another time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn seq_range(&self, from: Option<&str>, to: Option<&str>) -> Result<(u64, u64), StoreError> {
        let end = self.ends().await?.last;
        let first = match from {
            None => 1,
            Some(from) => self.edge(EARLIEST, from).await?.unwrap_or(end + 1),
        };
        let last = match to {
            None => end,
            Some(to) => self.edge(LATEST, to).await?.unwrap_or(0),
        };
        Ok((first, last))
    }

    async fn edge(&self, sql: &str, at: &str) -> Result<Option<u64>, StoreError> {
        let rows = self.select(sql, vec![column(at).into(), DISORDER.into()]).await?;
        let found: Option<i64> = rows.first().map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        found.map(loaded).transpose()
    }

    /// Up to which record the words are in the index.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the tables are missing.
    pub async fn indexed(&self) -> Result<u64, StoreError> {
        let rows = self.select("SELECT seq FROM audit_indexed WHERE id = 1", vec![]).await?;
        let row = rows.first().ok_or(StoreError::NotFound)?;
        loaded(row.try_get_by_index(0)?)
    }

    /// Adds the words of the records behind `after` and up to `upto` to the index: number and words, a space
    /// between two. False, and nothing is added, when the index does not end at `after` (any more).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn index_add(&self, after: u64, upto: u64, rows: Vec<(u64, String)>) -> Result<bool, StoreError> {
        let (after, upto) = (stored(after)?, stored(upto)?);
        let rows = rows.into_iter().map(|(seq, words)| Ok::<_, StoreError>((stored(seq)?, words)));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let inner = std::sync::Arc::clone(&self.inner);
        self.run(async move {
            match inner.backend {
                Backend::Sqlite => index_sqlite(inner.write.get_sqlite_connection_pool(), (after, upto), rows).await,
                Backend::Postgres => {
                    index_postgres(inner.write.get_postgres_connection_pool(), (after, upto), rows).await
                }
            }
        })
        .await
    }
}

const EARLIEST: &str =
    "SELECT min(seq) FROM (SELECT seq FROM audit_records WHERE ts >= $1 ORDER BY ts LIMIT $2) AS near";
const LATEST: &str =
    "SELECT max(seq) FROM (SELECT seq FROM audit_records WHERE ts < $1 ORDER BY ts DESC LIMIT $2) AS near";
const MOVE: &str = "UPDATE audit_indexed SET seq = $1 WHERE id = 1 AND seq = $2";

async fn index_sqlite(
    pool: &sqlx::SqlitePool,
    (after, upto): (i64, i64),
    rows: Vec<(i64, String)>,
) -> Result<bool, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = sqlx::Connection::begin_with(&mut *connection, "BEGIN IMMEDIATE").await?;
    let moved = sqlx::query(MOVE).bind(upto).bind(after).execute(&mut *tx).await?;
    if moved.rows_affected() == 0 {
        return Ok(false);
    }
    for (seq, words) in rows {
        let insert = sqlx::query("INSERT INTO audit_words (rowid, words) VALUES ($1, $2)").bind(seq).bind(words);
        insert.execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Whoever comes second waits for the row of the first, and then finds that it has moved.
async fn index_postgres(
    pool: &sqlx::PgPool,
    (after, upto): (i64, i64),
    rows: Vec<(i64, String)>,
) -> Result<bool, StoreError> {
    let mut tx = pool.begin().await?;
    let moved = sqlx::query(MOVE).bind(upto).bind(after).execute(&mut *tx).await?;
    if moved.rows_affected() == 0 {
        return Ok(false);
    }
    let (numbers, words): (Vec<i64>, Vec<String>) = rows.into_iter().unzip();
    let insert = "INSERT INTO audit_words (seq, words) SELECT seq, array_to_tsvector(string_to_array(words, ' ')) \
         FROM UNNEST($1::int8[], $2::text[]) AS t (seq, words)";
    sqlx::query(insert).bind(numbers).bind(words).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(true)
}
