import type { Duplex } from 'node:stream'

/**
 * Holds a connection still, and notices all the same when its other end has gone: then it is
 * destroyed. What comes meanwhile waits in the connection's own buffer, and once that is full, at
 * its sender.
 *
 * @returns Lets it go. Nothing that came is lost.
 */
export function holdStill(connection: Duplex): () => void {
  // A connection is read by nobody, and does not notice its end, until somebody asks for bytes.
  const look = (): void => {
    if (connection.readableLength === 0) connection.read()
  }
  const leave = (): void => void connection.destroy()
  // Whatever it is, 'close' follows.
  const ignore = (): void => {}
  connection.on('readable', look).on('end', leave).on('error', ignore)
  connection.read(0)
  return () => void connection.off('readable', look).off('end', leave).off('error', ignore)
}
