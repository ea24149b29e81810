package orders

import "strings"

// toFollow reports whether a subject is needed to follow the orders: for the consumer,
// and to look at the bucket.
func toFollow(bucket string) func(subject string) bool {
	return func(subject string) bool {
		return strings.HasSuffix(subject, ".STREAM.INFO."+streamOf(bucket)) ||
			strings.Contains(subject, ".CONSUMER.") && strings.Contains(subject+".", "."+streamOf(bucket)+".")
	}
}

// toChange may need every subject of the package comment.
func toChange(bucket string) func(subject string) bool {
	follow := toFollow(bucket)
	return func(subject string) bool {
		return follow(subject) || strings.HasSuffix(subject, "."+streamOf(bucket)) || strings.Contains(subject, "$KV."+bucket+".")
	}
}
