/**
 * Sends junk payments until its parent says stop: a file of requests, one line of base64 each, over
 * so many connections. `depth` is how many it sends before it waits for answers, as fast as these
 * come; with `perSecond`, so many are written whatever comes back, as long as anybody reads them.
 * Tells its parent what came back.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'

const [file = '', ...numbers] = process.argv.slice(2)
const [port = 0, connections = 0, depth = 1, perSecond = 0] = numbers.map(Number)
/** Bytes that wait in a connection until no more are written to it. */
const BACKLOG_MAX = 256 * 1024
const TICK_MS = 10
const requests = readFileSync(file, 'latin1')
  .split('\n')
  .map(line => Buffer.from(line, 'base64'))
const byStatus = new Map<string, number>()
const sockets = new Set<Socket>()
let next = 0
let sent = 0
let stopped = false

function write(socket: Socket): void {
  socket.write(requests[next++ % requests.length] ?? Buffer.alloc(0))
  sent++
}

function open(): void {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let waiting = 0
  const send = (): void => {
    for (; perSecond === 0 && waiting < depth && !stopped; waiting++) write(socket)
  }
  socket.setEncoding('latin1')
  socket.once('connect', () => {
    sockets.add(socket)
    send()
  })
  socket.on('data', chunk => {
    for (const [, status = ''] of String(chunk).matchAll(/HTTP\/1\.1 (\d{3})/g)) {
      byStatus.set(status, (byStatus.get(status) ?? 0) + 1)
      waiting--
    }
    if (waiting <= depth / 2) send()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    sockets.delete(socket)
    if (!stopped) setTimeout(open, 10)
  })
}

/** Writes what is due to one connection after another; what nobody reads is not sent. */
function writeDue(): void {
  const takers = [...sockets].filter(socket => socket.writableLength < BACKLOG_MAX)
  for (let due = (perSecond * TICK_MS) / 1000; due > 0 && takers.length > 0; due--) {
    const socket = takers[next % takers.length]
    if (socket !== undefined) write(socket)
  }
}

for (let index = 0; index < connections; index++) open()
if (perSecond > 0) setInterval(writeDue, TICK_MS)

process.on('message', () => {
  stopped = true
  process.send?.({ sent, byStatus: Object.fromEntries(byStatus) }, () => process.exit())
})
process.once('disconnect', () => process.exit())
