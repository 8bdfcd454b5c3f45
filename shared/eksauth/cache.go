package eksauth

import (
	"maps"
	"sync"
	"time"
)

// margin is how long before its end a session or token is no longer used:
// longer than a poll window, so that a window never outlives its token.
const margin = 3 * time.Minute

// cache keeps values until margin before they expire. It is safe for concurrent
// use.
type cache[K comparable, V any] struct {
	now     func() time.Time
	expires func(V) time.Time

	mu     sync.Mutex
	values map[K]V
}

func newCache[K comparable, V any](now func() time.Time, expires func(V) time.Time) *cache[K, V] {
	return &cache[K, V]{now: now, expires: expires, values: map[K]V{}}
}

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok := c.values[key]
	return value, ok && c.now().Before(c.expires(value).Add(-margin))
}

// put keeps a value and drops all that have expired, so that a sandbox that
// sees ten thousand clusters holds those of the last hour only.
func (c *cache[K, V]) put(key K, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.values, func(_ K, v V) bool { return c.now().After(c.expires(v)) })
	c.values[key] = value
}

func (c *cache[K, V]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.values, key)
}
