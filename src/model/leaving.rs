//! What leaves when one database takes another's place, table by table.

use serde::{Deserialize, Serialize};

use super::backup::Table;

/// One table of the database that goes aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaving {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// How many rows it has; an estimate where it was not counted.
    pub rows: u64,
    /// How many of them were written or changed since the moment the other database shows; `None` where that cannot be
    /// told.
    pub since: Option<u64>,
    /// How many rows it has in the other database, where that is known.
    pub other: Option<u64>,
    /// Whether it was counted: a large one is not where somebody waits for the answer.
    pub counted: bool,
}

impl Leaving {
    /// Whether every row was written anew, as by a migration that rewrites the table or by an earlier restore: then new
    /// rows cannot be told from old ones.
    #[must_use]
    pub fn rewritten(&self) -> bool {
        self.rows > 0 && self.since == Some(self.rows) && self.other.is_none_or(|other| other > 0)
    }

    /// Rows that only the database has that goes aside: new or changed ones, as far as that can be told; else how many
    /// more it has.
    #[must_use]
    pub fn leave(&self) -> u64 {
        match self.since {
            Some(since) if !self.rewritten() => since,
            _ => self.other.map_or(0, |other| self.rows.saturating_sub(other)),
        }
    }

    /// Rows that only the other one has: deleted or changed since.
    #[must_use]
    pub fn come_back(&self) -> u64 {
        let Some(other) = self.other else { return 0 };
        match self.since {
            Some(since) if !self.rewritten() => other.saturating_sub(self.rows - since.min(self.rows)),
            _ => other.saturating_sub(self.rows),
        }
    }
}

/// Adds what a backup knows of each table, and the tables that only it has.
#[must_use]
pub fn beside(mut leaving: Vec<Leaving>, backup: &[Table]) -> Vec<Leaving> {
    for table in backup {
        let known = leaving.iter_mut().find(|one| (&one.schema, &one.name) == (&table.schema, &table.name));
        match known {
            Some(one) => one.other = Some(table.rows),
            None => leaving.push(Leaving {
                schema: table.schema.clone(),
                name: table.name.clone(),
                rows: 0,
                since: None,
                other: Some(table.rows),
                counted: true,
            }),
        }
    }
    leaving
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: u64, since: Option<u64>, other: Option<u64>) -> Leaving {
        Leaving { schema: "public".into(), name: "orders".into(), rows, since, other, counted: true }
    }

    #[test]
    fn what_leaves_and_what_comes_back() {
        for (table, leave, come_back) in [
            (table(10, Some(0), Some(10)), 0, 0),
            (table(14, Some(4), Some(10)), 4, 0),
            // Two were deleted, or two of the three are changed ones.
            (table(11, Some(3), Some(10)), 3, 2),
            // Every row was written anew: only the numbers can be compared.
            (table(14, Some(14), Some(10)), 4, 0),
            (table(8, Some(8), Some(10)), 0, 2),
            // All rows are new because there was none.
            (table(5, Some(5), Some(0)), 5, 0),
            // Another server's snapshot says nothing here.
            (table(14, None, Some(10)), 4, 0),
            (table(14, Some(3), None), 3, 0),
            (table(0, None, Some(10)), 0, 10),
        ] {
            assert_eq!((table.leave(), table.come_back()), (leave, come_back), "{table:?}");
        }
        assert!(table(5, Some(5), None).rewritten() && !table(5, Some(5), Some(0)).rewritten());
        assert!(!table(0, Some(0), Some(3)).rewritten());
    }

    #[test]
    fn a_table_that_only_the_backup_has_is_told() {
        let known = [("orders", 7), ("gone", 3)].map(|(name, rows)| Table {
            schema: "public".into(),
            name: name.into(),
            rows,
            hash: None,
        });
        let all = beside(vec![table(9, Some(2), None)], &known);
        assert_eq!(all[0].other, Some(7));
        assert_eq!((all[1].name.as_str(), all[1].come_back()), ("gone", 3));
    }
}
