/**
 * Megabytes, beyond any. node:http2 counts what waits to be sent on a connection, never takes off
 * what was left of a stream that the other side reset (26.10), and refuses everything on it once it
 * has counted 10. What really waits is bounded by the streams.
 */
export const HTTP2_COUNTED_MEGABYTES_MAX = 1_000_000
