import { valuesOf } from '../core/header-list.ts'

/**
 * Whether a head says that a gRPC call has failed. A server that fails before it has sent a message
 * says so there (gRPC over HTTP/2, "Trailers-Only"), under HTTP status 200; one that fails later
 * says it in trailers, when its messages have been delivered.
 *
 * @param headers Names and values in turn.
 */
export function saysGrpcFailure(headers: readonly string[]): boolean {
  const [status] = valuesOf(headers, 'grpc-status')
  return status !== undefined && status.trim() !== '0'
}
