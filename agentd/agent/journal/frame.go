package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// header begins the file; its last number is the format's version.
const header = "skadi agent journal 1\n"

const headerStem = "skadi agent journal "

// marker begins every frame. Its first byte is in no UTF-8 text and so in no
// payload, which lets a reader find the next frame after a damaged one.
var marker = []byte{0xf5, 'S', 'k', 'j'}

// maxPayload is the longest payload that the length field holds, on systems of
// 32 bits too.
const maxPayload = 1<<31 - 1

// frameHead is the marker, the payload's length and the checksum of both the
// length and the payload.
const frameHead = 4 + 4 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode returns one frame with the records, one JSON line for each.
func encode(records []record) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, frameHead, frameHead+256*len(records)))
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for i := range records {
		if err := enc.Encode(&records[i]); err != nil {
			return nil, fmt.Errorf("encode a record of the journal: %w", err)
		}
	}
	frame := b.Bytes()
	if len(frame)-frameHead > maxPayload {
		return nil, errors.New("too much for one record of the journal")
	}
	copy(frame, marker)
	binary.BigEndian.PutUint32(frame[4:], uint32(len(frame)-frameHead)) //nolint:gosec // checked above
	binary.BigEndian.PutUint32(frame[8:], checksum(frame[4:8], frame[frameHead:]))
	return frame, nil
}

func checksum(length, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, payload)
}

// content is what a journal's file holds.
type content struct {
	records []record
	// badAt is where the first unreadable byte is; 0 if all is readable.
	badAt int
	// damaged says that something readable follows what is not, or that a
	// frame is all there and yet wrong. A process that dies only cuts a frame
	// off; here the disk may have lost what it had taken.
	damaged bool
}

// parse reads a whole file. An error means that the file is not for this
// program; it is then left alone.
func parse(data []byte) (content, error) {
	var c content
	if len(data) < len(header) && bytes.HasPrefix([]byte(header), data) {
		c.badAt = len(data)
		return c, nil
	}
	if !bytes.HasPrefix(data, []byte(header)) {
		if bytes.HasPrefix(data, []byte(headerStem)) {
			return c, errors.New("was written by a newer agent; run that one, or let it finish and start with an empty state folder")
		}
		if !bytes.Contains(data, marker) {
			return c, errors.New("is not an agent's journal; name another state folder, or move the file away after looking at it")
		}
		c.damaged = true
		c.scan(data, 0)
		return c, nil
	}
	c.scan(data, len(header))
	return c, nil
}

// scan reads frames from offset at on.
func (c *content) scan(data []byte, at int) {
	for at < len(data) {
		records, n, ok := frameAt(data[at:])
		if ok {
			c.records = append(c.records, records...)
			c.damaged = c.damaged || c.badAt > 0
			at += n
			continue
		}
		if c.badAt == 0 {
			c.badAt = max(at, 1)
		}
		c.damaged = c.damaged || whole(data[at:])
		next := bytes.Index(data[at+1:], marker)
		if next < 0 {
			return
		}
		at += 1 + next
	}
}

// whole reports whether data holds all bytes of the frame that it begins with,
// or something else than a frame. Zeros at the end are what a crash leaves of
// a write, and no frame ends with one.
func whole(data []byte) bool {
	data = bytes.TrimRight(data, "\x00")
	if len(data) < frameHead {
		return !bytes.HasPrefix(marker, data[:min(len(data), len(marker))])
	}
	return !bytes.HasPrefix(data, marker) || int64(binary.BigEndian.Uint32(data[4:])) <= int64(len(data)-frameHead)
}

// frameAt reads the frame that data begins with and returns its length.
func frameAt(data []byte) (records []record, n int, ok bool) {
	if len(data) < frameHead || !bytes.HasPrefix(data, marker) {
		return nil, 0, false
	}
	length := int64(binary.BigEndian.Uint32(data[4:]))
	if length > int64(len(data)-frameHead) {
		return nil, 0, false
	}
	n = frameHead + int(length)
	payload := data[frameHead:n]
	if checksum(data[4:8], payload) != binary.BigEndian.Uint32(data[8:]) {
		return nil, 0, false
	}
	for line := range bytes.Lines(payload) {
		var r record
		if json.Unmarshal(line, &r) != nil || !r.complete() {
			return nil, 0, false
		}
		records = append(records, r)
	}
	return records, n, true
}

// complete reports whether the record has what its kind needs.
func (r record) complete() bool {
	switch r.Kind {
	case kindIntent:
		return r.Job != nil && r.Job.ID != ""
	case kindStarted, kindClosed:
		return r.ID != ""
	case kindResult:
		return r.ID != "" && r.Report != nil
	}
	return false
}
