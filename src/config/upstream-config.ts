/** One server of an upstream. */
export interface UpstreamTarget {
  /** What log and metrics call it: its origin, or "unix:" and its path. Holds no secret. */
  readonly name: string
  /** "http://localhost:3000"; "http://localhost" where `socketPath` says where it really is. */
  readonly origin: string
  /** Put before the path of every request: "/api", or "". May hold a key: never logged. */
  readonly basePath: string
  /** Of a Unix socket; null: it is reached over the network. */
  readonly socketPath: string | null
}

/** A GET that is sent to each target by itself, whatever callers send. */
export interface HealthCheckConfig {
  /** On the server: a target's base path is not put before it. */
  readonly path: string
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** How the certificate of an https target is judged, which it always is. */
export interface UpstreamTlsConfig {
  /** PEM of the authorities that may have signed it; null: the public ones. */
  readonly ca: string | null
  /** PEM: what we show. The key is never logged. Null: nothing. */
  readonly identity: { readonly cert: string; readonly key: string } | null
  /** The name to ask for, which the certificate must be for; null: the host of the URL. */
  readonly serverName: string | null
}
