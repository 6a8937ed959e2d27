/**
 * Sends junk payments as fast as it can, until its parent says stop: a file of requests, one line of
 * base64 each, over so many connections. `depth` is how many it sends before it waits for answers.
 * Tells its parent what came back.
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const [portText, file = '', connectionsText, depthText] = process.argv.slice(2)
const [port, connections, depth] = [portText, connectionsText, depthText].map(Number)
const requests = readFileSync(file, 'latin1')
  .split('\n')
  .map(line => Buffer.from(line, 'base64'))
const byStatus = new Map<string, number>()
let next = 0
let sent = 0
let stopped = false

function open(): void {
  const socket = connect({ port: port ?? 0, host: '127.0.0.1', noDelay: true })
  let waiting = 0
  const send = (): void => {
    for (; waiting < (depth ?? 1) && !stopped; waiting++, sent++) {
      socket.write(requests[next++ % requests.length] ?? Buffer.alloc(0))
    }
  }
  socket.setEncoding('latin1')
  socket.once('connect', send)
  socket.on('data', chunk => {
    for (const [, status = ''] of String(chunk).matchAll(/HTTP\/1\.1 (\d{3})/g)) {
      byStatus.set(status, (byStatus.get(status) ?? 0) + 1)
      waiting--
    }
    if (waiting <= (depth ?? 1) / 2) send()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (!stopped) setTimeout(open, 10)
  })
}

for (let index = 0; index < (connections ?? 0); index++) open()

process.on('message', () => {
  stopped = true
  process.send?.({ sent, byStatus: Object.fromEntries(byStatus) }, () => process.exit())
})
process.once('disconnect', () => process.exit())
