package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

// Resize changes the number of peers, and of those that come as a crowd in proportion.
func (s *Scenario) Resize(peers int) {
	if c := s.Join.Crowd; c != nil && s.Peers > 0 {
		crowd := *c
		crowd.Peers = max(1, c.Peers*peers/s.Peers)
		s.Join.Crowd = &crowd
	}
	s.Peers = peers
}

// Bounds of a matrix of round trips.
const (
	maxMatrixBytes  = 64 << 20
	maxMatrixCities = 2000
	maxRoundTrip    = 10_000 // milliseconds
)

// ErrMatrix is wrapped by what CheckMatrix returns for a file that is no matrix of round trips.
var ErrMatrix = errors.New("not a matrix of round trips")

// CheckMatrix checks that a file is what Place.Matrix wants: a header row and a first column of the same 1 to 2000
// cities, and between them round trips of 0 to 10000 milliseconds, at most 64 MiB of it.
func CheckMatrix(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.IsDir() || info.Size() > maxMatrixBytes {
		return fmt.Errorf("%s: %w: a file of at most %d MiB is wanted", path, ErrMatrix, maxMatrixBytes>>20)
	}
	if err := checkMatrix(io.LimitReader(f, maxMatrixBytes)); err != nil {
		return fmt.Errorf("%s: %w: %w", path, ErrMatrix, err)
	}
	return nil
}

func checkMatrix(r io.Reader) error {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("it is empty")
	} else if err != nil {
		return err
	}
	cities := len(header) - 1
	if cities < 1 || cities > maxMatrixCities {
		return fmt.Errorf("it has %d cities; 1 to %d are possible", cities, maxMatrixCities)
	}
	names := append([]string(nil), header[1:]...)
	for i := 0; ; i++ {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			if i != cities {
				return fmt.Errorf("it has %d columns and %d rows of cities", cities, i)
			}
			return nil
		} else if err != nil {
			return err
		}
		if i >= cities {
			return fmt.Errorf("it has more rows than the %d columns of cities", cities)
		}
		if row[0] != names[i] {
			return fmt.Errorf("row %d is %q where column %d is %q", i+1, row[0], i+1, names[i])
		}
		for j, cell := range row[1:] {
			ms, err := strconv.ParseFloat(cell, 64)
			if err != nil || !(ms >= 0 && ms <= maxRoundTrip) { // not a number is neither
				return fmt.Errorf("from %s to %s: %q is not 0 to %d milliseconds", names[i], names[j], cell, maxRoundTrip)
			}
		}
	}
}
