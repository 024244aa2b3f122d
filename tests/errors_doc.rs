//! docs/errors.md has one row for each code of the core, in the same order. `__test__/errors.test.ts` holds the
//! TypeScript union to the same table.

use roomhook::error::Code;

#[test]
fn the_table_of_errors_has_a_row_for_each_code_in_the_enums_order() {
    let rows: Vec<&str> = include_str!("../docs/errors.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(code, _)| code)
        .collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(rows, codes);
}
