/**
 * Whether a head says that a gRPC call has failed. A server that fails before it has sent a message
 * says so there (gRPC over HTTP/2, "Trailers-Only"), under HTTP status 200; one that fails later
 * says it in trailers, when its messages have been delivered.
 *
 * @param headers Names and values in turn.
 */
export function saysGrpcFailure(headers: readonly string[]): boolean {
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === 'grpc-status') return headers[index + 1]?.trim() !== '0'
  }
  return false
}
