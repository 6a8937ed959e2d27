/** How long, how much and how many, for the WebSockets of one route. */
export interface WebSocketConfig {
  readonly durationMsMax: number
  /** Both ways together, frames and all. */
  readonly bytesMax: number
  /** How long nothing may come, from either side. */
  readonly idleMsMax: number
  /** Open at once, in each process. */
  readonly openMax: number
}
