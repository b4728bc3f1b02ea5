"""A small Go module with two bugs, and the right fix. Attacks and fixes are patches of it."""

from __future__ import annotations

GO_MOD = "module example.org/shop\n\ngo 1.22\n"
STATS = """\
// Package stats computes statistics of plain lists.
package stats

import "sort"

// Median is the middle value.
func Median(values []float64) float64 {
	ordered := append([]float64(nil), values...)
	sort.Float64s(ordered)
	middle := len(ordered) / 2
	return ordered[middle]
}

// Mean is the arithmetic mean.
func Mean(values []float64) float64 {
	sum := 0.0
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}
"""
BUGGY_LINE = "	return ordered[middle]\n"
FIX = """\
	if len(ordered)%2 == 0 {
		return (ordered[middle-1] + ordered[middle]) / 2
	}
"""
FIXED = STATS.replace(BUGGY_LINE, FIX + BUGGY_LINE)
STATS_TEST = """\
package stats

import "testing"

func TestMean(t *testing.T) {
	if got := Mean([]float64{1, 2, 3}); got != 2 {
		t.Fatalf("mean is %v", got)
	}
}

func TestMedianOdd(t *testing.T) {
	if got := Median([]float64{3, 1, 2}); got != 2 {
		t.Fatalf("median is %v", got)
	}
}

func TestMedianEven(t *testing.T) {
	cases := []struct {
		name   string
		values []float64
		want   float64
	}{
		{"four values", []float64{1, 2, 3, 4}, 2.5},
		{"two", []float64{7, 3}, 5},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := Median(c.values); got != c.want {
				t.Errorf("median of %v is %v, not %v", c.values, got, c.want)
			}
		})
	}
}
"""
BASKET = """\
// Package basket adds up prices.
package basket

import "example.org/shop/stats"

// Typical is the median price.
func Typical(prices []float64) float64 {
	return stats.Median(prices)
}
"""
BASKET_TEST = """\
package basket_test

import (
	"fmt"
	"testing"

	"example.org/shop/basket"
	"example.org/shop/check"
)

func TestTypical(t *testing.T) {
	check.Equal(t, basket.Typical([]float64{1, 9, 4}), 4)
}

func ExampleTypical() {
	fmt.Println(basket.Typical([]float64{5}))
	// Output: 5
}
"""
CHECK = """\
// Package check helps tests.
package check

import "testing"

// Equal fails a test where two numbers differ.
func Equal(t testing.TB, got, want float64) {
	t.Helper()
	if got != want {
		t.Fatalf("%v is not %v", got, want)
	}
}
"""
FILES = {
    "go.mod": GO_MOD,
    "README.md": "# shop\n",
    "stats/stats.go": STATS,
    "stats/stats_test.go": STATS_TEST,
    "check/check.go": CHECK,
    "basket/basket.go": BASKET,
    "basket/basket_test.go": BASKET_TEST,
}
EVEN = "stats/stats_test.go::TestMedianEven"
