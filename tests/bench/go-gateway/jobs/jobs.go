// The three jobs, built with -buildmode=plugin.
package main

import (
	"net/http"
	"sync"
	"time"
)

var consumers = map[string]string{"key-of-alice": "alice", "key-of-bob": "bob"}

type bucket struct {
	tokens float64
	at     time.Time
}

var (
	mutex   sync.Mutex
	buckets = map[string]*bucket{}
	limit   float64
	rate    float64
)

// Configure is called once, before the first request.
func Configure(requests, window float64) {
	limit, rate = requests, requests/window
}

// Access says whether a request goes on, and has answered it if not.
func Access(writer http.ResponseWriter, request *http.Request) bool {
	header := request.Header
	consumer, known := consumers[header.Get("X-Api-Key")]
	if !known {
		writer.Header().Set("Www-Authenticate", `Key realm="api"`)
		refuse(writer, http.StatusUnauthorized, `{"title": "Unauthorized", "status": 401}`)
		return false
	}
	if !admitted(consumer, time.Now()) {
		refuse(writer, http.StatusTooManyRequests, `{"title": "Too Many Requests", "status": 429}`)
		return false
	}
	header.Del("X-Api-Key")
	header.Del("X-Debug")
	header.Set("X-Consumer", consumer)
	header.Set("X-Seen-By", "gateway")
	return true
}

// Answer edits the head of what came back.
func Answer(response *http.Response) error {
	response.Header.Del("X-Powered-By")
	response.Header.Set("X-Served-By", "gateway")
	return nil
}

func admitted(consumer string, now time.Time) bool {
	mutex.Lock()
	defer mutex.Unlock()
	known := buckets[consumer]
	if known == nil {
		known = &bucket{tokens: limit, at: now}
		buckets[consumer] = known
	}
	tokens := known.tokens + now.Sub(known.at).Seconds()*rate
	if tokens > limit {
		tokens = limit
	}
	known.at = now
	if tokens < 1 {
		known.tokens = tokens
		return false
	}
	known.tokens = tokens - 1
	return true
}

func refuse(writer http.ResponseWriter, status int, text string) {
	writer.Header().Set("Content-Type", "application/problem+json")
	writer.WriteHeader(status)
	_, _ = writer.Write([]byte(text))
}
