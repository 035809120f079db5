/** The project of ui.test.ts: 12 containers on 4 networks. `loader` makes traffic as soon as `/go` is there. */
const serving = `sh -c 'mkdir -p /www && head -c 200000 /dev/zero >/www/blob && hostname >/www/index.html && exec httpd -f -p 80 -h /www'`;

const service = (name: string, networks: readonly string[], more = ''): string => `
  ${name}:
    image: busybox
    hostname: ${name}
    container_name: ${name}
    command: ${serving}
    stop_grace_period: 0s
    networks: [${networks.join(', ')}]
${more}`;

export const PROJECT = `
name: harbour
services:
${service('proxy', ['edge', 'front'], "    ports: ['8080:80', '127.0.0.1:8443:80']\n")}
${service('shop', ['front', 'back'])}
${service('blog', ['front', 'back'])}
${service('search', ['front', 'back'])}
${service('database', ['back'])}
${service('replica', ['back'])}
${service('cache', ['back'])}
${service('queue', ['back'])}
${service('metrics', ['ops', 'back'], "    ports: ['9090:80']\n")}
${service('alerts', ['ops'])}
${service('dashboard', ['ops', 'edge'], "    ports: ['3000:80']\n")}
  loader:
    image: busybox
    hostname: loader
    container_name: loader
    command:
      - sh
      - -c
      - |
        while true; do
          [ -e /go ] && printf 'GET /blob HTTP/1.0\\r\\n\\r\\n' | nc -w 2 shop 80 >/dev/null
          sleep 0.05
        done
    stop_grace_period: 0s
    networks: [front]
networks:
  edge:
  front:
  back: { internal: true }
  ops: { driver_opts: { com.docker.network.host_ipv4: 198.51.100.3 } }
`;
