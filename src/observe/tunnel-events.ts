/** A WebSocket is open: its 101 has gone out. */
export interface TunnelOpened {
  /** Route key as the YAML writes it. */
  readonly route: string
}

/** A WebSocket that was open has ended. */
export interface TunnelClosed {
  /** Of its handshake. */
  readonly requestId: string
  /** Route key as the YAML writes it. */
  readonly route: string
  readonly clientAddress: string
  /** Who left first, or the limit that ended it. */
  readonly end: 'client' | 'upstream' | 'max_duration' | 'max_bytes' | 'idle' | 'shutting_down'
  readonly durationMs: number
  readonly bytesFromClient: number
  readonly bytesToClient: number
}
