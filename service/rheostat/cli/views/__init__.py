"""What people see of answers: lines, tables and charts."""
