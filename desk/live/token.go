package live

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// Tokens turn numbers of entries into texts that a page may keep, and back. A number counts
// the entries of all sites, and a page may belong to somebody who sees one of them. Tokens
// of another process are not known.
type Tokens struct{ block cipher.Block }

// NewTokens returns the tokens of this process.
func NewTokens() (Tokens, error) {
	key := make([]byte, 32)
	rand.Read(key) // which never fails
	block, err := aes.NewCipher(key)
	return Tokens{block}, err
}

// Of is the token of a number.
func (t Tokens) Of(number uint64) string {
	var b [aes.BlockSize]byte // its second half shows that a token is one of these
	binary.BigEndian.PutUint64(b[:], number)
	t.block.Encrypt(b[:], b[:])
	return hex.EncodeToString(b[:])
}

// Number is that of a token, where it is one of this process.
func (t Tokens) Number(token string) (number uint64, known bool) {
	b, err := hex.DecodeString(token)
	if err != nil || len(b) != aes.BlockSize {
		return 0, false
	}
	t.block.Decrypt(b, b)
	if binary.BigEndian.Uint64(b[8:]) != 0 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}
