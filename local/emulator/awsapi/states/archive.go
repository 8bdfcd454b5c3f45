package states

import (
	"fmt"
	"os"
	"sync"
)

// archive is a temporary file that only grows. Its zero value is an empty one.
type archive struct {
	mu   sync.Mutex
	file *os.File // nil before the first Put
	end  int64
}

// Put implements [asl.Archive].
func (a *archive) Put(data []byte) (at int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		if a.file, err = os.CreateTemp("", "executions-"); err != nil {
			return 0, fmt.Errorf("keep an execution: %w", err)
		}
		// Without its name the file is gone once this process is.
		_ = os.Remove(a.file.Name())
	}
	if _, err := a.file.WriteAt(data, a.end); err != nil {
		return 0, fmt.Errorf("keep an execution: %w", err)
	}
	at = a.end
	a.end += int64(len(data))
	return at, nil
}

// Get implements [asl.Archive].
func (a *archive) Get(at int64, length int) ([]byte, error) {
	a.mu.Lock()
	file := a.file
	a.mu.Unlock()
	data := make([]byte, length)
	if _, err := file.ReadAt(data, at); err != nil {
		return nil, fmt.Errorf("read an execution: %w", err)
	}
	return data, nil
}

func (a *archive) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		_ = a.file.Close() // it has no name any more
	}
}
