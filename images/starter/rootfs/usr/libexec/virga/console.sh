# Words on the console, which is the log that an operator reads without logging in.
say() { echo "virga-starter: $*" >/dev/console; }
