/**
 * The thread that owns the database. SQLite blocks while it syncs, which must not stop the thread
 * that serves requests.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { SqliteDatabase } from './sqlite-database.ts'
import type { SqliteReply, SqliteRequest, SqliteWorkerOptions } from './sqlite-protocol.ts'

if (parentPort === null) throw new Error('sqlite-worker runs only as a worker thread.')
const port = parentPort

const options = workerData as SqliteWorkerOptions // sqlite.ts starts this thread with nothing else
const database = new SqliteDatabase(options)

function reply(message: SqliteReply): void {
  port.postMessage(message)
}

port.on('message', (request: SqliteRequest) => {
  if (request !== 'close') return reply(database.run(request))
  database.close()
  port.close()
})

reply(database.open())
