//! Which detection is which track: the pairs with the largest total similarity.

/// For each row of a matrix of similarities (`rows[i][j]`, at least 0), the column that it
/// is paired with, if any: each column at most once, the sum of the similarities as large as
/// possible, pairs of similarity 0 left out. The Hungarian algorithm with potentials, in
/// O(rows^2 * columns).
pub(crate) fn best_pairs(rows: &[Vec<f32>], columns: usize) -> Vec<Option<usize>> {
    // One spare column per row, of similarity 0, so that a row may stay alone.
    let (n, m) = (rows.len(), columns + rows.len());
    let cost = |i: usize, j: usize| rows[i].get(j).map_or(0.0, |&s| -f64::from(s));
    // Numbered from 1; column 0 is where each row begins its search.
    let (mut of_row, mut of_column) = (vec![0.0; n + 1], vec![0.0; m + 1]);
    let mut row_of = vec![0; m + 1];
    for row in 1..=n {
        row_of[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; m + 1];
        let mut from = vec![0; m + 1];
        let mut visited = vec![false; m + 1];
        loop {
            visited[column] = true;
            let i = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for j in 1..=m {
                if visited[j] {
                    continue;
                }
                let reduced = cost(i - 1, j - 1) - of_row[i] - of_column[j];
                if reduced < least[j] {
                    (least[j], from[j]) = (reduced, column);
                }
                if least[j] < step {
                    (step, next) = (least[j], j);
                }
            }
            for j in 0..=m {
                if visited[j] {
                    of_row[row_of[j]] += step;
                    of_column[j] -= step;
                } else {
                    least[j] -= step;
                }
            }
            column = next;
            if row_of[column] == 0 {
                break;
            }
        }
        while column != 0 {
            row_of[column] = row_of[from[column]];
            column = from[column];
        }
    }
    let mut pairs = vec![None; n];
    for (column, &row) in row_of.iter().enumerate().skip(1).take(columns) {
        if row > 0 && rows[row - 1][column - 1] > 0.0 {
            pairs[row - 1] = Some(column - 1);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The largest sum by trying everything.
    fn best_sum(rows: &[Vec<f32>], used: &mut Vec<bool>) -> f32 {
        let Some((row, rest)) = rows.split_first() else { return 0.0 };
        let mut best = best_sum(rest, used);
        for (j, similarity) in row.iter().enumerate() {
            if !used[j] {
                used[j] = true;
                best = best.max(similarity + best_sum(rest, used));
                used[j] = false;
            }
        }
        best
    }

    #[test]
    fn the_best_pair_is_given_up_for_a_better_sum() {
        let rows = [vec![0.9, 0.8], vec![0.8, 0.0]];
        assert_eq!(best_pairs(&rows, 2), [Some(1), Some(0)]);
        assert_eq!(best_pairs(&[vec![0.0], vec![0.3], vec![0.2]], 1), [None, Some(0), None]);
        assert_eq!(best_pairs(&[vec![], vec![]], 0), [None, None]);
        assert_eq!(best_pairs(&[], 3), []);
    }

    proptest! {
        #[test]
        fn the_sum_is_the_largest(
            rows in prop::collection::vec(prop::collection::vec(0u8..5, 4), 0..5),
        ) {
            let rows: Vec<Vec<f32>> =
                rows.iter().map(|row| row.iter().map(|&v| f32::from(v)).collect()).collect();
            let pairs = best_pairs(&rows, 4);
            let mut used = [false; 4];
            let mut sum = 0.0;
            for (row, column) in pairs.iter().enumerate() {
                if let Some(column) = *column {
                    prop_assert!(!used[column]);
                    used[column] = true;
                    sum += rows[row][column];
                }
            }
            prop_assert_eq!(sum, best_sum(&rows, &mut vec![false; 4]));
        }
    }
}
