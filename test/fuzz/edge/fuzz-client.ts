import type fc from 'fast-check'
import type { Reading } from './parsers.ts'

/** How a gateway is asked for what it may misread. */
export interface FuzzClient<Message> {
  /** What is said on one connection. */
  readonly messages: fc.Arbitrary<Message>
  show(message: Message): string
  /** The requests in it, as whoever sends it means them. */
  read(message: Message): Promise<Reading>
  /**
   * Sends it on a connection of its own, and waits until everything is answered that will be.
   * False: something of it may arrive later.
   */
  exchange(message: Message, asked: Reading): Promise<boolean>
}
